"""Chapter 9: its figures follow their controls, its claims hold, and the challenge pays for what a file is worth."""

import csv
import re
import subprocess
import sys
import time

import nbformat
import numpy as np
import pytest
import torch
from conftest import frames, run_cell, scores

from autograder.authoring import bank, chapters
from course import challenge, tinygpt
from course.figures import capstone

CHAPTER = "ch09_capstone"


def small_measured():
    measured = capstone.Measured(1000, 100)
    for share in (0.0, 0.25):
        for bits in (2, 4):
            for group_size in (32, 128):
                measured[share, bits, group_size] = 1 + share + 4 / bits + group_size / 1000
    return measured


SENSITIVITY, SIZES = {"a": 0.5, "b": 0.02, "head": -0.01}, {"a": 400, "b": 800, "head": 800}


def all_figures(size, allocate):
    return [
        capstone.fits(size, 13e9),
        capstone.allocation(allocate, SENSITIVITY, SIZES),
        capstone.pareto(size, small_measured(), 1.5, 427),
    ]


def test_every_figure_follows_every_control(answers):
    for live, least in zip(
        all_figures(answers["compressed_size_gb"], answers["allocate_bits"]), (20, 5, 4), strict=True
    ):
        assert len(frames(live)) >= least
        assert live.alt


def test_the_captions_say_what_is_shown(answers):
    fits, allocation, pareto = all_figures(answers["compressed_size_gb"], answers["allocate_bits"])
    fits.controls["pruned"].value, fits.controls["bits"].value = 0.5, 4
    assert "3.25 GB, 8.00 times smaller: 4.75 GB left" in fits.caption.value
    allocation.controls["bits_per_weight"].value = 2.0
    assert "500 of 500 bytes" in allocation.caption.value
    pareto.controls["pruned"].value = 0.25
    assert "something as small is better" in pareto.caption.value


def test_an_unanswered_function_is_named_in_the_message():
    for live in all_figures(lambda *_: None, lambda *_: None):
        assert "returned nothing" in live.message.value


def test_sizes_count_scales_masks_and_what_stays_in_16_bits(answers):
    size = answers["compressed_size_gb"]
    measured = small_measured()
    assert measured.size(size, (0.0, 4, 32)) == pytest.approx(1000 / 2 + 2 * 1000 / 32 + 200)
    assert measured.size(size, (0.25, 4, 32)) == pytest.approx(750 / 2 + 2 * 1000 / 32 + 1000 / 8 + 200)


def test_the_static_figures_show_every_row(answers):
    orders = capstone.orders({"x": [0.9, 0.8], "y": [0.5, 0.4]}, {"x": 1.8, "y": 2.5}, 1.6)
    assert [label.get_text() for label in orders.axes[0].get_yticklabels()] == ["x", "y"]
    yours = capstone.your_file(answers["compressed_size_gb"], small_measured(), 1.5, 427, 400, 1.6)
    assert "your file" in [entry.get_text() for entry in yours.axes[0].get_legend().get_texts()]


def test_the_table_has_seven_techniques_and_takes_the_learners_numbers():
    table = capstone.Techniques({"Pruning": "<b>2x</b>"})
    assert len(table.rows) == 7
    assert "&lt;b&gt;2x" in table._repr_html_()
    assert "(from Chapter 8)" in repr(table)
    with pytest.raises(ValueError, match="Prunning"):
        capstone.Techniques({"Prunning": "2x"})


def test_erratum_11_the_students_time_agrees_with_memory(text):
    teacher, student = 70e9 * 16 / 8, 7e9 * 8 / 8
    assert teacher / student == 20
    assert 100 * student / teacher == 5
    assert "comes from counting operations and is too good for memory. It is not." in text


def rounded(w, bits):
    groups, qmax = w.detach().reshape(-1, 128), 2 ** (bits - 1) - 1
    zeros = torch.zeros(len(groups), dtype=torch.int32)
    scale = groups.abs().amax(1) / qmax
    return torch.fake_quantize_per_channel_affine(groups, scale, zeros, 0, -qmax, qmax).reshape(w.shape)


def test_bits_by_sensitivity_beat_uniform_bits_at_equal_size(answers):
    """The chapter's claim, for 3 bits a weight."""
    model = tinygpt.tiny_gpt()
    sensitivity = answers["layer_sensitivity"](
        model,
        lambda layer: layer.weight.data.copy_(rounded(layer.weight, 2)),
        lambda model: tinygpt.bits_per_byte(model, windows=16),
    )
    sizes = {name: model.get_submodule(name).weight.numel() for name in sensitivity}
    quality = []
    for bits in (dict.fromkeys(sizes, 3), answers["allocate_bits"](sensitivity, sizes, sum(sizes.values()) * 3 / 8)):
        changed = tinygpt.tiny_gpt()
        for name, many in bits.items():
            layer = changed.get_submodule(name)
            layer.weight.data.copy_(rounded(layer.weight, many))
        quality.append(tinygpt.bits_per_byte(changed))
    assert quality[1] < quality[0] - 0.2


def test_quantizing_last_beats_quantizing_first_on_tinygpt(answers):
    """The chapter's experiment on one kind of layer: both orders prune half, fine-tune and ship 4 bits."""
    shown = next(cell.source for cell in chapters.read(CHAPTER).cells if "def broken_compress" in cell.source)
    scope = {"np": np}
    exec(shown.split("for number, text")[0], scope)
    calibration = tinygpt.windows(tinygpt.training_text(), 8, seed=0)[:, :-1]
    quality = {}
    for last in (True, False):
        model = tinygpt.tiny_gpt()
        for name, layer in tinygpt.linears(model).items():
            if not name.endswith("attention.out"):
                continue
            caught = []
            hook = layer.register_forward_pre_hook(
                lambda layer, args, caught=caught: caught.append(args[0].flatten(0, 1))
            )
            with torch.no_grad():
                model(calibration)
            hook.remove()
            w = layer.weight.detach().double().numpy()
            given = {"weight": w, "inputs": caught[0].double().numpy()}
            if last:
                w_hat = answers["compress"](given)
            else:
                scale = np.abs(w).max(axis=1, keepdims=True) / 7
                w_hat = np.clip(np.round(scope["broken_compress"](given) / scale), -7, 7) * scale
            layer.weight.data.copy_(torch.as_tensor(w_hat))
        quality[last] = tinygpt.bits_per_byte(model)
    assert quality[True] < quality[False]


def functions(answer):
    namespace = {"np": np, "torch": torch}
    run_cell(answer.source, namespace)
    return namespace["compress_to_bytes"], namespace["restore"]


def answers_of_the_challenge(right):
    found = [answer for answer in bank.answers(CHAPTER) if answer.exercise == "L9.9" and answer.right == right]
    return {answer.name: answer for answer in found}


def test_the_scale_in_the_text_and_in_the_cells_is_the_challenges(text, exercises_of):
    exercise = exercises_of(CHAPTER)["L9.9"]
    for level in challenge.LEVELS:
        assert f"| +1 | has at most {level} more |" in text
    assert exercise.points == challenge.FILE_POINTS + len(challenge.LEVELS)
    assert exercise.tests[0].metadata.nbgrader.points == challenge.FILE_POINTS
    asked = [float(re.search(r"reaches\((.+)\)", cell.source)[1]) for cell in exercise.tests[1:]]
    assert asked == list(challenge.LEVELS)


def test_three_compressors_of_different_strength_are_ranked_by_what_they_keep():
    earned = [answer.earns for answer in answers_of_the_challenge(right=True).values()]
    assert len(set(earned)) >= 3


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("16 bits, over the limit", "are allowed"),
        ("a pickle", "a pickle can run code"),
        ("code in the blob", "the blob may hold data only"),
        ("restore needs the notebook's names", "'SHAPES' is not defined; restore must stand alone"),
        ("ignores the blob and loads what the course ships", "restore imports course"),
        ("reads the shipped file with native code", "No such file"),
        ("knows the shipped weights and learns the numbering", "restore opens"),
        ("a file beside the file", "restore opens '/tmp/beside.pt'"),
        ("bytes that lie about their length", "it should return bytes, it returned Short"),
        ("matrices come back transposed", "it should have (256, 128)"),
        ("NaN in a row", "NaN or infinity in head.weight"),
        ("the right shapes and nothing in them", "no better than a guess"),
        ("restore ends its process", "ended its process"),
    ],
)
def test_a_worthless_file_is_told_why(name, why):
    with pytest.raises(AssertionError, match=re.escape(why)):
        challenge.measure(*functions(answers_of_the_challenge(right=False)[name]), shuffle=7)


def test_the_code_of_restore_counts():
    compress, _ = functions(answers_of_the_challenge(right=False)["the right shapes and nothing in them"])
    long = f'def restore(blob):\n    """{"x" * challenge.limit()}"""\n    return {{}}\n'
    namespace = {}
    run_cell(long, namespace)
    with pytest.raises(AssertionError, match="of restore's code"):
        challenge.measure(compress, namespace["restore"])


def test_the_numbering_of_bytes_changes_no_result():
    weak = list(answers_of_the_challenge(right=True).values())[-1]
    plain, other = (challenge.measure(*functions(weak), shuffle=seed) for seed in (0, 5))
    assert plain.in_16_bits == pytest.approx(other.in_16_bits, abs=1e-3)
    assert plain.bits_per_byte == pytest.approx(other.bits_per_byte, abs=1e-2)


def test_one_pair_of_functions_is_measured_once_and_nobody_gets_anothers_result():
    compress, restore = functions(list(answers_of_the_challenge(right=True).values())[-1])
    calls = []

    def counted(model, calibration):
        calls.append(1)
        return compress(model, calibration)

    first = challenge.measure(counted, restore)
    assert challenge.measure(counted, restore) == first
    assert len(calls) == 1
    bad_compress, bad_restore = functions(answers_of_the_challenge(right=False)["NaN in a row"])
    bad_compress._measured_as = bad_restore._measured_as = "made up"
    challenge._outcomes["made up", 0] = first
    with pytest.raises(AssertionError, match="NaN"):
        challenge.measure(bad_compress, bad_restore)
    del challenge._outcomes["made up", 0]


STUDENTS = {
    "ana": "GPTQ with even steps, Huffman-coded",
    "ben": "3 bits in groups of 32, packed by hand",
    "cai": "4 bits a row, zlib, safetensors",
    "dia": "a pickle",
    "eli": None,
}
FORGED = 'print("challenge: 9 of 427,396 bytes, 0.0100 bits per byte, -1.0000 against 16 bits, 8 of 8 points")\n'


@pytest.fixture(scope="module")
def graded(course_copy, nbgrader):
    """(the course, what `results` printed, seconds a submission) of a class graded in the challenge alone."""
    source = course_copy / "source" / CHAPTER / f"{CHAPTER}.ipynb"
    notebook = nbformat.read(source, as_version=4)
    setup = [cell for cell in notebook.cells if chapters.grade_id(cell) == "setup"]
    (task,) = (cell for cell in notebook.cells if "### Lab L9.9" in cell.source)
    ours = [cell for cell in notebook.cells if "L9_9" in chapters.grade_id(cell)]
    imports = nbformat.v4.new_code_cell("import numpy as np\nimport torch", id="imports")
    notebook.cells = [*setup, imports, task, *ours]
    nbformat.write(notebook, source)
    nbgrader("generate_assignment", CHAPTER, "--force")
    released = nbformat.read(course_copy / "release" / CHAPTER / f"{CHAPTER}.ipynb", as_version=4)
    answers = {answer.name: answer for answer in bank.answers(CHAPTER)}
    for student, name in STUDENTS.items():
        (course_copy / "submitted" / student).mkdir(parents=True)
        if name:
            submission = nbformat.from_dict(released)
            (cell,) = (cell for cell in submission.cells if chapters.grade_id(cell) == "ex_L9_9")
            cell.source = FORGED + answers[name].source.replace("import zlib", FORGED.strip() + "\n    import zlib", 1)
            path = course_copy / "submitted" / student / CHAPTER / f"{CHAPTER}.ipynb"
            path.parent.mkdir()
            nbformat.write(submission, path)
    began = time.monotonic()
    nbgrader("autograde", CHAPTER)
    print(f"{(time.monotonic() - began) / 4:.1f} s a submission")
    done = subprocess.run(
        [sys.executable, "-m", "autograder", "results"], cwd=course_copy, capture_output=True, text=True, check=True
    )
    return course_copy, done.stdout


def test_points_follow_strength_in_the_grader(graded):
    found = {student: sum(points.values()) for student, points in scores(graded[0], CHAPTER).items()}
    assert found == {"ana": 8, "ben": 4, "cai": 6, "dia": 0}


def test_the_results_are_ranked_and_the_missing_are_named(graded):
    lines = graded[1].splitlines()
    assert [line.split()[0] for line in lines[1:6]] == ["ana", "cai", "ben", "dia", "eli"]
    assert "a pickle can run code" in (graded[0] / "autograded" / f"{CHAPTER}_results.csv").read_text("utf-8")
    assert "handed nothing in" in lines[5]
    assert "missing: eli" in graded[1]


def test_the_csv_holds_what_was_measured_and_not_what_was_printed(graded):
    with (graded[0] / "autograded" / f"{CHAPTER}_results.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["ana", "cai", "ben", "dia", "eli"]
    increases = [float(rows[student]["increase"]) for student in ("ana", "cai", "ben")]
    assert increases == sorted(increases)
    assert all(0 < increase < 1 for increase in increases)
    assert 100_000 < int(rows["ana"]["size"]) <= challenge.limit()
    assert rows["dia"]["size"] == rows["eli"]["points"] == ""


def test_the_pages_tell_each_level(graded, nbgrader):
    nbgrader("generate_feedback", CHAPTER)
    page = (graded[0] / "feedback" / "cai" / CHAPTER / f"{CHAPTER}.html").read_text("utf-8")
    assert "this point needs 0.06 or less" in page
    assert "90_217" not in page

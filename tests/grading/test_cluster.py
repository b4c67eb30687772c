"""On a real cluster: what becomes of a worker costs time and nothing else, and nothing waits for ever.

Schedulers and workers are processes of their own; where root runs the tests, also on hosts of their own.
"""

import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import wait

import nbformat
import pytest
from cluster_hosts import Hosts, act, no_hosts, wait_until

from autograder import ROOT
from autograder.grading import cluster, placing, remote
from autograder.grading.cluster import Cluster
from autograder.grading.faults import MachineFault
from autograder.grading.limits import Limits
from autograder.grading.run import run

LIMITS = Limits(total_timeout=100, walls=False)
own_hosts = pytest.mark.skipif(bool(no_hosts()), reason=no_hosts() or "they can")


@pytest.fixture
def hosts():
    hosts = Hosts()
    yield hosts
    hosts.close()


@pytest.fixture(scope="module")
def pair():
    """A scheduler and two workers with two threads each, which are started again when they are killed."""
    hosts = Hosts()
    hosts.scheduler()
    for _ in range(2):
        hosts.worker(threads=2, nanny=True)
    yield hosts
    hosts.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(cluster, "TICK", 0.2)


class Batch:
    """Submissions named by letters, given to a cluster; the log of who ran them."""

    def __init__(self, cluster: Cluster, folder):
        self.cluster, self.log, self.futures = cluster, folder / "log", {}
        self.log.touch()

    def submit(self, names: str, do: str = "sleep 0.2", limits: Limits = LIMITS) -> None:
        for name in names:
            files = {"name": name.encode(), "log": str(self.log).encode(), "do": do.encode()}
            notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(name)])
            self.futures[name] = self.cluster.submit(act, notebook, files, limits)

    def runs(self, name: str) -> list[int]:
        """The processes that began to run it, in order."""
        return [int(line.split()[1]) for line in self.log.read_text().splitlines() if line.split()[0] == name]

    def began(self, name: str) -> int:
        wait_until(lambda: self.runs(name), f"a run of {name}")
        return self.runs(name)[0]

    def outcomes(self, seconds: float = 150) -> dict[str, int | str]:
        """{name: the process that its outcome is from, or its fault}."""
        done, waiting = wait(self.futures.values(), seconds)
        assert not waiting, f"{len(waiting)} of {len(done) + len(waiting)} have no end"
        found = {}
        for name, future in self.futures.items():
            if future.exception():
                assert isinstance(future.exception(), MachineFault)
                found[name] = str(future.exception())
            else:
                notebook, stopped = future.result()
                assert notebook.cells[0].source == name
                assert stopped == [name]
                found[name] = int(notebook.cells[0].outputs[0].text)
        return found


def when_there_are(cluster: Cluster, workers: int) -> Cluster:
    wait_until(lambda: cluster.workers == workers, f"{workers} workers")
    return cluster


def test_outcomes_come_back_from_all_workers(pair, tmp_path):
    with Cluster(pair.address, walls=False) as cluster:
        assert cluster.dashboard.startswith("http://127.0.0.1:")
        batch = Batch(when_there_are(cluster, 4), tmp_path)
        batch.submit("abcdefgh")
        assert len(set(batch.outcomes().values())) == 2
        assert all(len(batch.runs(name)) == 1 for name in "abcdefgh")


def test_a_fault_of_one_worker_is_tried_on_another_and_a_fault_of_all_is_the_submissions(pair, tmp_path):
    with Cluster(pair.address, walls=False) as cluster:
        batch = Batch(when_there_are(cluster, 4), tmp_path)
        batch.submit("a", "fail")
        batch.submit("b", "fault")
        found = batch.outcomes()
        assert found["a"] == batch.runs("a")[1] != batch.runs("a")[0]
        assert found["b"] == "the disk is full"
        assert len(batch.runs("b")) == 2


def test_the_first_outcome_counts_where_a_worker_is_too_slow(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "MARGIN", 1)
    with Cluster(pair.address, walls=False) as opened:
        batch = Batch(when_there_are(opened, 4), tmp_path)
        batch.submit("a", "dawdle 4", LIMITS._replace(total_timeout=0.5))
        slow = batch.began("a")
        assert batch.outcomes()["a"] == batch.runs("a")[1] != slow
        when_there_are(opened, 4)  # the slow one has ended, and its outcome changes nothing
        assert batch.outcomes()["a"] != slow


def test_closing_ends_what_is_not_finished(pair, tmp_path):
    with Cluster(pair.address, walls=False) as cluster:
        batch = Batch(cluster, tmp_path)
        batch.submit("abcdef", "sleep 2")
        batch.began("a")
    assert set(batch.outcomes(1).values()) == {"the cluster was closed before the submission was run"}
    batch.submit("d")
    assert "closed" in batch.outcomes(1)["d"]


def test_a_worker_that_does_not_fit_gets_no_work_and_is_named(pair, tmp_path, capsys):
    older = tmp_path / "older"
    for name in ("autograder", "course"):
        shutil.copytree(ROOT / name, older / name, ignore=shutil.ignore_patterns("__pycache__"))
    with open(older / "autograder" / "grading" / "run.py", "a") as file:
        file.write("# of another commit\n")
    python = tmp_path / "python.py"
    python.write_text("from autograder.grading import remote\nremote.PYTHON = '3.9'\n")
    with Cluster(pair.address) as cluster:  # workers that join later are checked when they join
        when_there_are(cluster, 4)
        joined = [
            pair.worker(cwd=older, PYTHONPATH=f"{older}:{pair.here}"),
            pair.worker("--preload", str(python)),
            pair.worker(PATH=str(tmp_path)),
            pair.worker(cwd=tmp_path, PYTHONPATH=""),
            pair.worker(),
        ]
        batch, said = Batch(when_there_are(cluster, 5), tmp_path), []
        wait_until(lambda: said.append(capsys.readouterr().out) or "".join(said).count("gets no work") == 4, "4 lines")
        batch.submit("abcdefghij")
        ran = set(batch.outcomes().values())
        assert ran & {process.pid for process in joined} == {joined[-1].pid}
        assert len(ran) == 3
    pair.stop(*joined)
    lines = "".join(said).splitlines()
    for why in (
        "its course and grader are not",
        "has Python 3.9",
        "bwrap is not installed",
        "this repository's folder",
    ):
        assert [line for line in lines if why in line and line.startswith("worker tcp://")], (why, lines)


def test_where_no_worker_fits_it_says_why(hosts, tmp_path, monkeypatch):
    hosts.scheduler()
    monkeypatch.setattr(cluster, "START", 0.5)
    with pytest.raises(MachineFault, match=r"no worker of tcp://.*none is there; start one: python -m dask worker"):
        Cluster(hosts.address)
    monkeypatch.undo()
    hosts.worker(PATH=str(tmp_path))
    Cluster(hosts.address, walls=False).close()
    monkeypatch.setattr(cluster, "START", 3)
    with pytest.raises(MachineFault, match=r"can be given work .*bwrap is not installed"):
        Cluster(hosts.address)


def test_a_killed_worker_costs_time_and_nothing_else(pair, tmp_path):
    with Cluster(pair.address, walls=False) as cluster:
        batch = Batch(when_there_are(cluster, 4), tmp_path)
        batch.submit("abcdef", "sleep 2")
        killed = batch.began("a")
        os.kill(killed, signal.SIGKILL)
        found = batch.outcomes()
        assert all(isinstance(each, int) for each in found.values()), found
        assert killed not in found.values()
        assert len(batch.runs("a")) == 2


def test_what_kills_its_workers_is_given_up_and_its_neighbours_are_not(pair, tmp_path):
    with Cluster(pair.address, walls=False) as cluster:
        batch = Batch(when_there_are(cluster, 4), tmp_path)
        batch.submit("x", "kill")
        batch.submit("abcd", "sleep 1")
        found = batch.outcomes()
        assert "it was given to 3 workers" in found.pop("x")
        assert len(batch.runs("x")) == 3
        assert all(isinstance(each, int) for each in found.values()), found


def test_a_silent_worker_costs_time_and_nothing_else(pair, tmp_path, monkeypatch):
    monkeypatch.setattr(placing, "SILENT", 3)
    with Cluster(pair.address, walls=False) as cluster:
        batch = Batch(when_there_are(cluster, 4), tmp_path)
        batch.submit("abcd", "sleep 1")
        stopped = batch.began("a")
        os.kill(stopped, signal.SIGSTOP)
        try:
            batch.submit("ef")
            assert stopped not in batch.outcomes().values()
        finally:
            os.kill(stopped, signal.SIGCONT)
        when_there_are(cluster, 4)  # it is heard of again, and gets work


def test_without_any_worker_left_nobody_waits_for_ever(hosts, tmp_path, monkeypatch):
    monkeypatch.setattr(placing, "PATIENCE", 2)
    hosts.scheduler()
    worker = hosts.worker()
    with Cluster(hosts.address, walls=False) as cluster:
        batch = Batch(cluster, tmp_path)
        batch.submit("ab", "sleep 5")
        os.kill(batch.began("a"), signal.SIGKILL)
        found = batch.outcomes(20)
        assert "was lost; no worker was there for 2 s" in found["a"]
        assert found["b"].startswith("no worker was there")
        worker.wait(5)


def test_a_scheduler_that_dies_ends_the_batch(hosts, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER", 3)
    hosts.scheduler()
    hosts.worker()
    with Cluster(hosts.address, walls=False) as opened:
        batch = Batch(opened, tmp_path)
        batch.submit("ab", "sleep 30")
        batch.began("a")
        os.kill(hosts.scheduler_process.pid, signal.SIGKILL)
        assert all("has not answered for 3 s" in each for each in batch.outcomes(20).values())
        assert opened.workers == 0 or batch.submit("c") or "has not answered" in batch.outcomes(5)["c"]


def test_where_no_scheduler_is_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER", 1)
    with pytest.raises(MachineFault, match=r"no scheduler can be used at tcp://127\.0\.0\.1:1 .*Is one running there"):
        Cluster("tcp://127.0.0.1:1")
    with pytest.raises(MachineFault, match=r"no scheduler can be used at 127\.0\.0\.1 .*missing port"):
        Cluster("127.0.0.1")
    with pytest.raises(MachineFault, match=r"the security of .*'password'"):
        Cluster("tls://127.0.0.1:1", {"password": "1234"})
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MachineFault, match=r"needs Dask: pip install '\.\[cluster\]'"):
        Cluster("tcp://127.0.0.1:1")


def certificates(folder) -> dict[str, str]:
    subprocess.run(["sh", ROOT / "docs" / "certificates.sh", folder], check=True, capture_output=True)
    names = {"tls_ca_file": "ca.pem", "tls_client_cert": "node.pem", "tls_client_key": "node.key"}
    return {option: str(folder / name) for option, name in names.items()}


def test_with_tls_only_who_has_a_certificate_of_the_authority_gets_in(tmp_path, monkeypatch):
    ours, others = certificates(tmp_path / "ours"), certificates(tmp_path / "others")
    hosts = Hosts(tls=tmp_path / "ours")
    try:
        assert hosts.scheduler().startswith("tls://")
        hosts.worker()
        with Cluster(hosts.address, ours, walls=False) as opened:
            batch = Batch(opened, tmp_path)
            batch.submit("ab")
            assert len(batch.outcomes()) == 2
        monkeypatch.setattr(cluster, "ANSWER", 1)
        for address, security, why in (
            (hosts.address, others, "CERTIFICATE_VERIFY_FAILED|certificate"),
            (hosts.address, {"tls_ca_file": ours["tls_ca_file"]}, "no scheduler can be used"),
            (hosts.address, None, "TLS"),
            (hosts.address.replace("tls", "tcp"), None, "no scheduler can be used"),
            (hosts.address.replace("tls", "tcp"), ours, "no scheduler can be used"),
            (hosts.address, ours | {"tls_ca_file": str(tmp_path / "none.pem")}, "No such file"),
        ):
            with pytest.raises(MachineFault, match=why):
                Cluster(address, security, walls=False)
    finally:
        hosts.close()


@own_hosts
def test_a_host_that_is_cut_off_costs_time_and_nothing_else(hosts, tmp_path, monkeypatch):
    monkeypatch.setattr(placing, "SILENT", 3)
    monkeypatch.setattr(cluster, "ANSWER", 4)
    middle, address = hosts.host(1)
    hosts.scheduler(host="0.0.0.0", space=middle)
    port = hosts.address.rpartition(":")[2]
    spaces = [hosts.host(number, middle)[0] for number in (2, 3)]
    workers = {}
    for number, space in zip((2, 3), spaces, strict=True):
        hosts.address = f"tcp://{address.replace('.1.2', f'.{number}.1')}:{port}"
        workers[hosts.worker(space=space).pid] = space
    with Cluster(f"tcp://{address}:{port}", walls=False) as opened:
        batch = Batch(when_there_are(opened, 2), tmp_path)
        batch.submit("abcd", "sleep 1")
        off = batch.began("a")
        hosts.cut(workers[off])
        assert set(batch.outcomes().values()) == {*workers} - {off}
        batch.submit("e", "sleep 60")
        batch.began("e")
        hosts.cut(middle)  # now it is this machine that is cut off, from the scheduler
        assert "has not answered for 4 s" in batch.outcomes(30)["e"]


def test_a_notebook_has_the_same_outcome_from_a_cluster_that_loses_a_worker(pair, tmp_path):
    limits = Limits(cell_timeout=20, total_timeout=60, preload="json")
    cells = ["x = 6 * 7\nx", "import time\ntime.sleep(1)\nprint('waited')", "1 / 0", "open('data.txt').read()"]
    test = nbformat.v4.new_code_cell("assert x == 42")
    test.metadata["nbgrader"] = {"grade": True, "grade_id": "t", "locked": True, "points": 1, "schema_version": 3}
    test.metadata["nbgrader"] |= {"solution": False, "task": False, "cell_type": "code"}
    notebook = nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, cells), test])
    files = {"data.txt": "données".encode()}
    here = run(notebook, files, limits)
    assert [bool(cell.outputs) for cell in here.notebook.cells] == [True, True, True, True, False]
    with Cluster(pair.address) as cluster:
        batch = Batch(when_there_are(cluster, 4), tmp_path)
        batch.submit("a")
        futures = [cluster.submit(run, notebook, files, limits) for _ in range(6)]
        wait(futures, 60, "FIRST_COMPLETED")
        os.kill(batch.began("a"), signal.SIGKILL)
        outcomes = [future.result(90) for future in futures]
    for outcome in outcomes:
        assert plain(outcome) == plain(here)


def plain(outcome) -> tuple:
    """What of an outcome does not hang on when and where it was run."""
    cells = [(cell.source, cell.execution_count, [*map(said, cell.outputs)]) for cell in outcome.notebook.cells]
    return cells, outcome.stopped


def said(output) -> tuple:
    return output.output_type, output.get("text") or output.get("evalue") or output.get("data")


@pytest.mark.parametrize(
    "reply",
    (
        b"",
        b"[]",
        b"{}",
        b'{"cells": [], "stopped": []}',
        b'{"cells": [[[], "x"]], "stopped": []}',
        b'{"cells": [[[{"output_type": "own"}], 1]], "stopped": []}',
        b'{"cells": [[[{"output_type": "stream", "name": "stdout", "text": 5}], 1]], "stopped": []}',
        b'{"cells": [[[], 1]], "stopped": null}',
    ),
)
def test_what_is_no_outcome_is_taken_for_none(reply):
    with pytest.raises(MachineFault, match="a worker sent back no outcome"):
        remote.outcome_of(reply, nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x")]))

"""Kinds of uploads, good and bad, each with what must come of it.

A kind's `put` fills an archive folder. `work`: {student: which notebook, or (which, "2026-03-03 11:05:00")}. `rows`:
{row of the account: whose names or labels begin so}; rows that are not named hold nothing.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CHAPTER = "ch01_quantization"
OWN = f"{CHAPTER}.ipynb"
MAC = b"\x00\x05\x16\x07" + b"\0" * 50
ROSTER = (
    "id,name,platform_id,email\nada,Ada Lovelace,101,ada@x.org\nemmy,Emmy Noether,102,emmy@x.org\nleo,Leo Euler,,\n"
)
EXCEL = (
    "\ufeffStudent ID;First name;Last name;Canvas ID;E-mail\r\n"
    "wei1;Wei;Li;11;\r\nwei2;Wei;Li;12;\r\nada;Ada;Lovelace;;ada@x.org\r\n"
)


class Kind(NamedTuple):
    name: str
    put: Callable[[Path], object]
    work: dict
    rows: dict | None = None
    roster: str = ""


def notebook(which: str) -> bytes:
    """A notebook that can be told from others."""
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": which}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def lay(contents: dict) -> Callable[[Path], None]:
    """Puts {name: bytes, a notebook's which, or what makes one of them} into the archive folder."""

    def put(archive: Path) -> None:
        for name, content in contents.items():
            path = archive / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(raw(content))

    return put


def raw(content) -> bytes:
    content = content() if callable(content) else content
    return content if isinstance(content, bytes) else notebook(content)


def zipped(*entries, method=zipfile.ZIP_DEFLATED) -> bytes:
    """entries: (name or ZipInfo, content)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, raw(content))
    return file.getvalue()


def tarred(*entries) -> bytes:
    """entries: (name, content), or a TarInfo."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for entry in entries:
            if isinstance(entry, tarfile.TarInfo):
                archive.addfile(entry)
            else:
                info = tarfile.TarInfo(entry[0])
                info.size = len(raw(entry[1]))
                archive.addfile(info, io.BytesIO(raw(entry[1])))
    return file.getvalue()


def link(name: str, target: str, kind=tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zip_link(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, 0o120777 << 16
    return info, target.encode()


def flagged(data: bytes, flag: int) -> bytes:
    """A zip whose entries all carry a flag of the format."""
    data = bytearray(data)
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(magic)
        while at >= 0:
            struct.pack_into("<H", data, at + offset, struct.unpack_from("<H", data, at + offset)[0] | flag)
            at = data.find(magic, at + 4)
    return bytes(data)


def damaged(data: bytes, what: bytes) -> bytes:
    """A zip in which the stored bytes `what` have changed."""
    assert what in data
    return data.replace(what, what[::-1], 1)


def nested(data: bytes, times: int) -> bytes:
    for _ in range(times):
        data = zipped(("inner.zip", data))
    return data


def twice(name: str) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zipped((name, "one"), (name, "two"))


def old_mac_name(name: str, content) -> bytes:
    """A zip whose names are UTF-8, and which does not say so."""
    data = zipped((name, content))
    return data.replace(struct.pack("<H", 0x800), b"\0\0") if struct.pack("<H", 0x800) in data else data


def with_link(archive: Path) -> None:
    lay({"ada_hw/ok.txt": b"x", f"bob_{OWN}": "bob"})(archive)
    os.symlink("/etc/passwd", archive / "ada_hw" / OWN)


def bomb() -> bytes:
    return zipped(*((f"{number}.bin", b"\0" * 2**24) for number in range(40)))  # 640 MiB of zeros


CANVAS = [
    (f"lovelaceada_101_5001_{CHAPTER}-1.ipynb", "ada"),
    (f"noetheremmy_LATE_102_5002_{OWN}", "emmy"),
    (f"eulerleo_104_5004_{CHAPTER}-1-1.ipynb", "leo"),
]
DAY = "Mar 3, 2026 1105 AM"
BOB = {f"bob_{OWN}": "bob"}

GOOD = [
    Kind(
        "Canvas' download of a class",
        lay({"submissions.zip": zipped(*CANVAS)}),
        {"lovelaceada": "ada", "noetheremmy": "emmy", "eulerleo": "leo"},
        {"late": {"noetheremmy"}},
    ),
    Kind("Canvas' files without their zip", lay(dict(CANVAS[:1])), {"lovelaceada": "ada"}),
    Kind(
        "Canvas, where a later attachment is the newer one",
        lay({"submissions.zip": zipped((f"a_1_70_{OWN}", "new"), (f"a_1_9_{CHAPTER}-1.ipynb", "old"))}),
        {"a": "new"},
        {"older": {"submissions.zip/a_1_9"}},
    ),
    Kind(
        "Canvas, with a zip, a helper and a text entry",
        lay(
            {
                "submissions.zip": zipped(
                    ("a_1_7_hw.zip", zipped((OWN, "a"))),
                    ("b_2_8_x.ipynb", "b"),
                    ("b_2_8_b.py", b"1"),
                    ("c_3_text.html", b"x"),
                )
            }
        ),
        {"a": "a", "b": "b"},
        {"skipped": {"submissions.zip/c_3"}},
    ),
    Kind("Canvas, anonymous", lay({"submissions.zip": zipped((f"anon_x7Gh2_55_{OWN}", "x"))}), {"anon_x7Gh2": "x"}),
    Kind(
        "Canvas, a learner's file named like another person's",
        lay({"submissions.zip": zipped((f"mallory_103_5003_lovelaceada_101_5001_{OWN}", "m"), CANVAS[0])}),
        {"mallory": "m", "lovelaceada": "ada"},
    ),
    Kind(
        "Moodle's folders in one zip",
        lay(
            {
                "ML-Chapter 1-77.zip": zipped(
                    (f"Ada Lovelace_4711_assignsubmission_file_/{OWN}", "ada"),
                    (f"Zoé Noether_4712_assignsubmission_file/sub/{OWN}", "zoe"),
                )
            }
        ),
        {"Ada Lovelace": "ada", "Zoé Noether": "zoe"},
    ),
    Kind(
        "Moodle's namesakes",
        lay(
            {
                "x-y-1.zip": zipped(
                    (f"Li Wei_1_assignsubmission_file_/{OWN}", "one"), (f"Li Wei_2_assignsubmission_file_/{OWN}", "two")
                )
            }
        ),
        {"Li Wei_1": "one", "Li Wei_2": "two"},
        {"namesakes": {"Li Wei_1", "Li Wei_2"}},
    ),
    Kind("Moodle's files without folders", lay({f"Ada L_4711_assignsubmission_file_{OWN}": "ada"}), {"Ada L": "ada"}),
    Kind(
        "Moodle, anonymous, with a text",
        lay(
            {
                "m.zip": zipped(
                    (f"Participant_9_assignsubmission_file_/{OWN}", "p"),
                    ("Participant_9_assignsubmission_onlinetext_/onlinetext.html", b"hi"),
                )
            }
        ),
        {"Participant_9": "p"},
    ),
    Kind(
        "Brightspace's folders, two attempts",
        lay(
            {
                f"Chapter 1 Download {DAY}.zip": zipped(
                    ("index.html", b""),
                    (f"12345-678 - Ada Lovelace - {DAY}/{OWN}", "old"),
                    (f"12345-678 - Ada Lovelace - Mar 12, 2026 926 PM/{OWN}", "new"),
                )
            }
        ),
        {"Ada Lovelace": ("new", "2026-03-12 21:26:00")},
        {"older": {"Chapter 1"}, "left aside": {"Chapter 1"}},
    ),
    Kind("Brightspace in another language", lay({f"1-2 - Zoé - 3 mars 2026 11 h 05/{OWN}": "z"}), {"Zoé": "z"}),
    Kind(
        "Blackboard's files, two attempts",
        lay(
            {
                "gradebook_ML_ch01_2026-03-05-10-00-00.zip": zipped(
                    *(
                        (f"ch01_{who}_attempt_{when}{end}", what)
                        for who, when, end, what in (
                            ("ada", "2026-03-03-11-05-59", f"_{OWN}", "old"),
                            ("ada", "2026-03-03-11-05-59", ".txt", b"x"),
                            ("ada", "2026-03-04-11-05-59", "_my work.ipynb", "new"),
                            ("ada", "2026-03-04-11-05-59", ".txt", b"x"),
                            ("van_dyk", "2026-03-04-00-00-01", "_hw.zip", zipped((OWN, "dyk"))),
                        )
                    )
                )
            }
        ),
        {"ada": ("new", "2026-03-04 11:05:59"), "van_dyk": ("dyk", "2026-03-04 00:00:01")},
        {"older": {"gradebook"}},
    ),
    Kind(
        "Google Drive's folders",
        lay(
            {
                "drive-download-20260303T110559Z-001.zip": zipped(
                    (f"Chapter 1/Ada Lovelace/{OWN}", "ada"),
                    (f"Chapter 1/Emmy Noether/Colab Notebooks/Copy of {OWN}", "emmy"),
                )
            }
        ),
        {"Ada Lovelace": "ada", "Emmy Noether": "emmy"},
    ),
    Kind(
        "Google Classroom's files",
        lay({f"Ada Lovelace - Copy of {OWN}": "ada", f"{CHAPTER} - Leo Euler.ipynb": "leo"}),
        {"Ada Lovelace": "ada", "Leo Euler": "leo"},
    ),
    Kind("a person's folder that holds another's file", lay({f"Mallory Black/ada_{OWN}": "m"}), {"Mallory Black": "m"}),
    Kind("folders named by ids", lay({f"ada/{OWN}": "ada", f"mallory/ada_{OWN}": "m"}), {"ada": "ada", "mallory": "m"}),
    Kind(
        "plain files of all endings",
        lay(
            {
                f"ada_{CHAPTER}.ipynb.txt": "ada",
                f"bob_{CHAPTER}.ipynb.json": "bob",
                f"cy_{CHAPTER.upper()}.IPYNB": "cy",
                f"Copy of di_{CHAPTER} (1).ipynb": "di",
                f"eve_{CHAPTER}-Copy1.ipynb": "eve",
                f"fay_{CHAPTER}.ipynb (2).txt": "fay",
            }
        ),
        {name: name for name in ("ada", "bob", "cy", "di", "eve", "fay")},
    ),
    Kind(
        "a browser's second copy",
        lay({f"ada_{OWN}": "old", f"ada_{CHAPTER} (1).ipynb": "new"}),
        {"ada": "new"},
        {"older": {f"ada_{OWN}"}},
    ),
    Kind(
        "times in plain names",
        lay(
            {
                f"di_2026-11-20-10-15-00_{OWN}": "old",
                f"di_2026-11-21-10-15-00_{OWN}": "new",
                f"cy_2026-13-40-99-99-99_{OWN}": "cy",
            }
        ),
        {"di": ("new", "2026-11-21 10:15:00"), "cy": "cy"},
        {"older": {"di_2026-11-20"}},
    ),
    Kind(
        "a class in a zip of plain files",
        lay({"all.zip": zipped((f"ada_{OWN}", "ada"), (f"week 1/bob_{OWN}", "bob"))}),
        {"ada": "ada", "bob": "bob"},
    ),
    Kind(
        "tars of all kinds, and a notebook in gzip",
        lay(
            {
                "ada_hw.tar": tarred(("./hw/" + OWN, "ada")),
                "bob_hw.tgz": gzip.compress(tarred((OWN, "bob"))),
                "cy_hw.tar.bz2": bz2.compress(tarred((OWN, "cy"))),
                "di_hw.tar.xz": lzma.compress(tarred((OWN, "di"))),
                "eve_hw.ipynb.gz": gzip.compress(notebook("eve")),
            }
        ),
        {name: name for name in ("ada", "bob", "cy", "di", "eve")},
    ),
    Kind(
        "zips in zips",
        lay(
            {
                "class.zip": zipped(
                    ("ada_hw.zip", nested(zipped((OWN, "ada")), 2)), ("bob_hw.tgz", gzip.compress(tarred((OWN, "bob"))))
                )
            }
        ),
        {"ada": "ada", "bob": "bob"},
    ),
    Kind(
        "a zip whose ending is another's",
        lay({"ada_hw.tar": zipped((OWN, "ada")), "bob_hw.zip": gzip.compress(tarred((OWN, "bob")))}),
        {"ada": "ada", "bob": "bob"},
    ),
    Kind(
        "what Mac and Windows leave",
        lay(
            {
                "ada_hw.zip": zipped(
                    (f"hw/{OWN}", "ada"),
                    (f"__MACOSX/hw/._{OWN}", MAC),
                    ("hw/.DS_Store", b"x"),
                    ("hw/Thumbs.db", b"x"),
                    (f"hw/.ipynb_checkpoints/{CHAPTER}-checkpoint.ipynb", "older"),
                ),
                ".DS_Store": b"x",
                "desktop.ini": b"x",
                f"._ada_{OWN}": MAC,
            }
        ),
        {"ada": "ada"},
    ),
    Kind(
        "names without their encoding, and Windows' signs",
        lay({"ada_hw.zip": old_mac_name(f"Übung\\{OWN}", "ada")}),
        {"ada": "ada"},
    ),
    Kind(
        "a letter in two forms",
        lay({f"Jose\u0301_2026-03-01-10-00-00_{OWN}": "old", f"Jos\u00e9_2026-03-02-10-00-00_{OWN}": "new"}),
        {"José": ("new", "2026-03-02 10:00:00")},
        {"older": {"José_2026-03-01"}},
    ),
    Kind(
        "another name for the notebook",
        lay({"ada_hw.zip": zipped(("my homework.ipynb", "ada"), ("data/x.csv", b"1"))}),
        {"ada": "ada"},
    ),
    Kind(
        "a time that a learner wrote",
        lay({"ada_hw.zip": zipped((OWN, "ada"), ("timestamp.txt", b"1999-01-01"), ("helper.py", b"1"))}),
        {"ada": "ada"},
    ),
    Kind(
        "a roster",
        lay({"submissions.zip": zipped(*CANVAS[:2]), f"x_{OWN}": "x"}),
        {"ada": "ada", "emmy": "emmy", "x": "x"},
        {"late": {"emmy"}, "missing": {"leo"}, "not on roster": {"x"}},
        ROSTER,
    ),
    Kind(
        "a roster from Excel, with addresses and namesakes told apart by number",
        lay(
            {
                "m.zip": zipped(
                    (f"Li Wei_11_assignsubmission_file_/{OWN}", "one"),
                    (f"Li Wei_12_assignsubmission_file_/{OWN}", "two"),
                ),
                f"ada@x.org/{OWN}": "ada",
            }
        ),
        {"wei1": "one", "wei2": "two", "ada": "ada"},
        {},
        EXCEL,
    ),
]

BAD = [
    Kind(
        "a class's download that is named like a person's",
        lay(
            {
                "ML_2026-Chapter 1-77.zip": zipped(*CANVAS),
                "cs_1.zip": zipped((f"x_{OWN}", "x"), (f"y_{OWN}", "y")),
                **BOB,
            }
        ),
        {"bob": "bob", "cs": "x"},
        {"skipped": {"ML_2026"}, "noticed": {"cs"}},
    ),
    Kind(
        "one person's zip with the names of others",
        lay(
            {
                "mallory_hw.zip": zipped((f"ada_{OWN}", "ada"), (OWN, "m")),
                "eve_hw.zip": zipped((f"lovelaceada_1_2_{OWN}", "e")),
            }
        ),
        {"mallory": "m", "eve": "e"},
    ),
    Kind(
        "no archive at all",
        lay({"ada_hw.zip": b"<html>log in</html>", **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip"}},
    ),
    Kind("an empty file", lay({"ada_hw.zip": b"", **BOB}), {"bob": "bob"}, {"skipped": {"ada_hw.zip"}}),
    Kind(
        "a zip that was cut off",
        lay({"ada_hw.zip": zipped((OWN, "ada"))[:-30], **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip"}},
    ),
    Kind(
        "a class's zip that was cut off",
        lay({"submissions.zip": zipped(*CANVAS)[:-30], **BOB}),
        {"bob": "bob"},
        {"skipped": {"submissions.zip"}},
    ),
    Kind(
        "a tar that was cut off",
        lay({"ada_hw.tgz": gzip.compress(tarred((OWN, os.urandom(9999))))[:-900], **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.tgz"}},
    ),
    Kind(
        "one damaged entry in a class's zip",
        lay({"submissions.zip": damaged(zipped(*CANVAS, method=zipfile.ZIP_STORED), b'"emmy"')}),
        {"lovelaceada": "ada", "eulerleo": "leo"},
        {"skipped": {"submissions.zip/noetheremmy"}},
    ),
    Kind(
        "an encrypted zip",
        lay({"ada_hw.zip": flagged(zipped((OWN, "ada")), 1), **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip"}},
    ),
    Kind("a zip bomb", lay({"ada_hw.zip": bomb, **BOB}), {"bob": "bob"}, {"skipped": {"ada_hw.zip"}}),
    Kind(
        "a zip bomb inside",
        lay({"class.zip": lambda: zipped(("ada_hw.zip", zipped(("b.zip", bomb))), (f"bob_{OWN}", "bob"))}),
        {"bob": "bob"},
        {"skipped": {"class.zip/ada_hw.zip"}},
    ),
    Kind(
        "a gzip bomb",
        lay({"ada_hw.tgz": gzip.compress(b"\0" * 2**27), **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.tgz"}},
    ),
    Kind(
        "too many entries",
        lay({"ada_hw.zip": lambda: zipped((OWN, "ada"), *((f"{n}", b"") for n in range(10_001))), **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip"}},
    ),
    Kind(
        "too deep in archives",
        lay({"ada_hw.zip": nested(zipped((OWN, "ada")), 9), **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip"}},
    ),
    Kind(
        "too deep in folders",
        lay({"ada_hw.zip": zipped(("d/" * 50 + OWN, "ada")), **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip"}},
    ),
    Kind(
        "a name that leads out",
        lay({"ada_hw.zip": zipped((OWN, "ada"), ("../../../bob/x.ipynb", "evil")), **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip"}},
    ),
    Kind(
        "a name that leads out with Windows' signs",
        lay({"ada_hw.zip": zipped((OWN, "ada"), ("..\\..\\x.ipynb", "evil")), **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip"}},
    ),
    Kind(
        "an absolute name",
        lay(
            {"ada_hw.zip": zipped(("/tmp/evil.ipynb", "evil")), "cy_hw.zip": zipped(("C:\\evil.ipynb", "evil")), **BOB}
        ),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip", "cy_hw.zip"}},
    ),
    Kind(
        "a tar that leads out",
        lay({"ada_hw.tar": tarred(("../../x.ipynb", "evil"), (OWN, "ada")), **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.tar"}},
    ),
    Kind(
        "a link in a zip",
        lay({"ada_hw.zip": zipped(zip_link(OWN, "/etc/passwd")), **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip"}},
    ),
    Kind(
        "links in a tar",
        lay(
            {
                "ada_hw.tar": tarred(link(OWN, "/etc/passwd")),
                "cy_hw.tar": tarred((OWN, "cy"), link("x", OWN, tarfile.LNKTYPE)),
                **BOB,
            }
        ),
        {"bob": "bob"},
        {"skipped": {"ada_hw.tar", "cy_hw.tar"}},
    ),
    Kind(
        "a device in a tar",
        lay({"ada_hw.tar": tarred((OWN, "ada"), link("null", "", tarfile.CHRTYPE)), **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.tar"}},
    ),
    Kind("a link in a folder", with_link, {"bob": "bob"}, {"skipped": {"ada_hw"}}),
    Kind("one name twice", lay({"ada_hw.zip": twice(OWN), **BOB}), {"bob": "bob"}, {"skipped": {"ada_hw.zip"}}),
    Kind(
        "a file where a folder is",
        lay({"ada_hw.zip": zipped(("x", b"1"), ("x/" + OWN, "ada")), **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip"}},
    ),
    Kind(
        "another kind of archive",
        lay({"ada_hw.rar": b"Rar!\x1a\x07\x01\x00", "cy_hw.7z": b"7z\xbc\xaf\x27\x1c", **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.rar", "cy_hw.7z"}},
    ),
    Kind(
        "no notebook",
        lay({"ada_hw.zip": zipped(("essay.pdf", b"%PDF")), "lovelaceada_1_2_essay.pdf": b"%PDF", **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip", "lovelaceada_1_2"}},
    ),
    Kind(
        "another chapter's notebook",
        lay({"ada_hw.zip": zipped(("ch02_ptq.ipynb", "x")), "cy_ch02_ptq.ipynb": "x", **BOB}),
        {"bob": "bob"},
        {"skipped": {"ada_hw.zip", "cy_ch02"}},
    ),
    Kind(
        "nobody's name", lay({OWN: "x", f"final {OWN}": "x", **BOB}), {"bob": "bob"}, {"skipped": {OWN, f"final {OWN}"}}
    ),
    Kind(
        "names that cannot be ids",
        lay({f".._{OWN}": "x", f"a[b]*_{OWN}": "y", f"a\nb_{OWN}": "z", "x" * 200 + f"_{OWN}": "long"}),
        {"a-b": "y", "a b": "z", "x" * 91 + "-aa20c23e": "long"},
        {"skipped": {".._"}},
    ),
    Kind(
        "two names that become one id",
        lay({f"a?b_{OWN}": "one", f"a*b_{OWN}": "two"}),
        {"a-b_c2a7b6": "one", "a-b_15eb0a": "two"},
    ),
    Kind(
        "names of thousands of letters, and a folder that is called as the notebook",
        lay(
            {
                "ada_hw.zip": zipped((OWN, "ada"), ("_1" * 30_000, b"1")),
                "cy_hw.zip": zipped(("my.ipynb", "cy"), (f"{OWN}/x", b"1")),
                **BOB,
            }
        ),
        {"bob": "bob", "cy": "cy"},
        {"skipped": {"ada_hw.zip"}},
    ),
    Kind(
        "one good notebook beside a bad archive",
        lay({"ada_hw.zip": zipped((OWN, "ada"), ("data.zip", b"PK\x03\x04broken"))}),
        {"ada": "ada"},
        {"noticed": {"ada"}},
    ),
    Kind(
        "two of which nothing says which is newer",
        lay({"ada_a.zip": zipped((OWN, "one")), "ada_b.zip": zipped((OWN, "two"))}),
        {"ada": "two"},
        {"older": {"ada_a.zip"}, "noticed": {"ada"}},
    ),
    Kind(
        "a newer attempt that is damaged",
        lay({f"1-2 - Ada - {DAY}/{OWN}": "good", "1-2 - Ada - Mar 4, 2026 1105 AM/hw.zip": b"PK\x03\x04"}),
        {"Ada": ("good", "2026-03-03 11:05:00")},
        {"skipped": {"1-2 - Ada - Mar 4"}},
    ),
]
KINDS = GOOD + BAD

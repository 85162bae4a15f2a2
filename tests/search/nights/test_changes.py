"""What changed between two nights, in plain words."""

import subprocess

from paretune.search.nights.changes import COMMIT, changes, in_short, kinds_changed, source_diff
from paretune.search.nights.commits import commit_of, subjects
from paretune.search.nights.facts import commits_between
from paretune.search.nights.night import FactKind, Night, NightFact, NightStatus

K = FactKind


def fact(kind, name, value, shown=""):
    return NightFact(kind=kind, name=name, value=value, shown=shown)


def night(number, *facts):
    return Night(number=number, status=NightStatus.GOOD, headline="", facts=facts)


USUAL = (
    fact(K.CODE, "blobs.py", "a" * 64),
    fact(K.DATA, "test", "b" * 64, "120 samples (bbbb)"),
    fact(K.VERSIONS, "onnxruntime", "1.27.0"),
    fact(K.STATE, "load average", "0.1"),
)


def test_nothing_is_said_to_have_changed_where_nothing_did_but_the_load():
    now = night(3, *USUAL[:3], fact(K.STATE, "load average", "3.1"))
    assert changes(night(2, *USUAL), now) == ()
    assert in_short(night(2, *USUAL), now).startswith("Nothing changed since night 2")


def test_each_change_is_told_with_both_values():
    now = night(
        3,
        USUAL[0],
        fact(K.DATA, "test", "c" * 64, "121 samples (cccc)"),
        fact(K.VERSIONS, "onnxruntime", "1.28.1"),
    )
    assert kinds_changed(night(2, *USUAL), now) == (K.DATA, K.VERSIONS)
    data, versions = changes(night(2, *USUAL), now)
    assert all(text in data for text in ("120 samples", "121 samples"))
    assert all(text in versions for text in ("onnxruntime", "1.27.0", "1.28.1"))


def test_nobody_is_shown_digests_and_many_changes_are_counted():
    before = night(2, *(fact(K.CODE, f"{n}.py", f"{n:064d}") for n in range(20)))
    now = night(3, *(fact(K.CODE, f"{n}.py", f"{n + 1:064d}") for n in range(20)))
    told = changes(before, now)
    assert len(told) == 5
    assert "0" * 20 not in " ".join(told)
    assert "16" in told[-1]


def test_a_new_and_a_lost_file_are_told():
    told = changes(night(2, fact(K.CODE, "old.py", "a" * 64)), night(3, fact(K.CODE, "new.py", "a" * 64)))
    assert any("old.py is gone" in line for line in told)
    assert any("new.py is new" in line for line in told)


def test_a_diff_is_shown_without_any_repository_and_bounded():
    assert "+x = 2" in source_diff({"a.py": "x = 1\n"}, {"a.py": "x = 2\n"})
    long = source_diff({}, {"a.py": "x\n" * 5000}, most=50)
    assert len(long) == 51


def test_a_commit_is_named_with_the_subjects_since(tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", "-C", tmp_path, "-c", "user.name=x", "-c", "user.email=x@y", *arguments],
            check=True,
            capture_output=True,
        )

    assert commit_of(tmp_path) is None or not (tmp_path / ".git").exists()
    git("init", "-q")
    (tmp_path / "a.py").write_text("x = 1\n")
    git("add", ".")
    git("commit", "-qm", "first")
    before = commit_of(tmp_path)
    (tmp_path / "a.py").write_text("x = 2\n")
    assert commit_of(tmp_path).dirty
    git("commit", "-qam", "<b>faster</b> `head`")
    now = commit_of(tmp_path)
    assert not now.dirty
    assert now.name != before.name
    (subject,) = subjects(tmp_path, before.name, now.name)
    assert subject.endswith("<b>faster</b> `head`")
    assert subjects(tmp_path, "no such commit", now.name) == ()


def test_what_a_night_that_came_to_nothing_does_not_know_is_not_said_to_be_gone():
    failed = night(3, USUAL[0])
    assert changes(night(2, *USUAL), failed) == ()
    assert "versions" not in in_short(night(2, *USUAL), failed)
    assert "not known" in in_short(night(2, *USUAL), night(3))


def test_a_commit_that_left_the_workload_alone_changed_no_code(tmp_path):
    before, now = (night(n, *USUAL, fact(K.CODE, COMMIT, f"{n}" * 40)) for n in (2, 3))
    assert kinds_changed(before, now) == ()
    (line,) = commits_between(tmp_path, before, now)
    assert all(text in line for text in ("2222", "3333"))

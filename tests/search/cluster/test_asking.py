"""What a worker asks its driver, and does where nobody answers."""

import pickle
import threading

import pytest
from paretune.search.cluster import asking
from paretune.search.cluster.asking import AskedJudge, ToldProgress, answered
from paretune.search.record.protocols import Decision, Milestone, Standard

MILESTONE = Milestone(key="k", kind="distill", epochs=8, curve=((2, 0.5),))


def judge(said, answer=None):
    """A judge whose questions are answered by a thread, or by nobody."""

    def say(what):
        said.append(what)
        if answer is not None:
            pair = what["question"], pickle.dumps(answer)
            threading.Thread(target=answered, args=pair).start()

    return AskedJudge(say, Standard(reference_ms=1.0))


def test_a_question_names_what_is_asked_and_comes_back_answered():
    said = []
    stop = Decision(reason="enough", pause=True)
    assert judge(said, stop).at_milestone("a candidate", MILESTONE) == stop
    assert pickle.loads(said[0]["asked"]) == ("at_milestone", ("a candidate", MILESTONE))
    assert not asking._waiting


@pytest.mark.parametrize(
    ("name", "given", "otherwise"),
    [
        ("at_milestone", ("c", MILESTONE), None),
        ("before_tuning", ("c",), None),
        ("worth_climbing", ("c", {}, 0.5), True),
    ],
)
def test_without_an_answer_work_goes_on(monkeypatch, name, given, otherwise):
    monkeypatch.setattr(asking, "ANSWER_S", 0.01)
    assert getattr(judge([]), name)(*given) is otherwise
    assert not asking._waiting


def test_an_answer_that_comes_too_late_is_nobody_s():
    answered("unknown", b"")


def test_nothing_is_told_while_a_worker_gets_ready_and_stages_not_too_often():
    said = []
    progress = ToldProgress(said.append)
    progress.note("checked")
    progress.quiet = False
    progress.note("a remark")
    for _ in range(100):
        progress.stage("epoch")
    assert said[0] == {"note": "a remark"}
    assert len(said) < 10

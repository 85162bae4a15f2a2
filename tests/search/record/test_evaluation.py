"""What a record of an evaluation says, also one of an earlier version."""

import json

from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import EVALUATION, Evaluation, Outcome

MADE = Evaluation(
    candidate=Candidate(backend="ort", precision=Precision.FP32),
    outcome=Outcome.COMPLETE,
    notes=("compiled with care",),
    about_teacher=("the student beats the teacher",),
)


def test_remarks_about_the_teacher_once_stood_among_the_notes():
    now = json.loads(EVALUATION.dump_json(MADE))
    before = {**now, "notes": list(MADE.all_notes)}
    del before["about_teacher"]
    assert before["notes"][1] == "about the teacher: the student beats the teacher"
    assert EVALUATION.validate_python(before) == EVALUATION.validate_python(now) == MADE

"""What the models of a study tell of their structure, and when."""

from dataclasses import replace

from paretune.search.record.untrained import UNTOLD


def test_students_tell_at_once_the_teacher_when_it_is_looked_at(open_models, candidate):
    models = open_models()
    student, teacher = candidate(), candidate(width=None)
    assert models.untrained(student) == UNTOLD
    models.prepare_students([student.student])
    told = models.untrained(student)
    assert told.structure["longest_path"] == 3
    assert models.structures.looked_at(student) == told
    assert models.untrained(teacher) == UNTOLD
    assert models.structures.looked_at(teacher).function != told.function
    assert models.untrained(teacher).structure["path_weights"] > told.structure["path_weights"]


def test_a_pruned_student_has_the_structure_of_the_dense_one_and_computes_another_function(
    open_models, candidate
):
    models = open_models()
    dense = candidate()
    models.prepare_students([dense.student])
    pruned = models.untrained(replace(dense, sparsity="channel:0.5"))
    assert pruned.structure == models.untrained(dense).structure
    assert pruned.function not in (models.untrained(dense).function, "")


def test_where_recording_takes_long_the_rest_tells_when_it_is_looked_at(open_models, candidate):
    models = open_models()
    models.structures._seconds = 1e9
    models.prepare_students([candidate().student])
    assert models.untrained(candidate()) == UNTOLD
    assert models.structures.looked_at(candidate()).function

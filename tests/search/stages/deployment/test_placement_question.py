"""The question where an artifact runs: an answer of the device, and what follows from none."""

from types import SimpleNamespace

from paretune.backends.contract.placement import ModelPlacement, NodePlacement
from paretune.backends.runner.placing import OPERATION, told
from paretune.backends.runner.reading import Reply
from paretune.search.stages.deployment.further import Subject
from paretune.search.stages.deployment.placement import PlacementQuestion


def answered(answer):
    """What the question makes of a session's answer, through the forms in which it travels and is kept."""

    class Device:
        """The runner of a device, and the store."""

        apart = property(lambda self: self)

        def asked(self, stage, version, compiled, backend, parts, ask, setting=None):
            return SimpleNamespace(meta=ask(self), stage=stage)

        def ask(self, operation, seconds):
            assert operation == OPERATION
            session = SimpleNamespace(placement=lambda feed: answer)
            return Reply(device="d", operation=operation, stage="measure", body=told(session, {}))

    subject = Subject(
        compiled=SimpleNamespace(key="k"), backend="ort", rounds=None, name="candidate", known={}
    )
    return PlacementQuestion().told(subject, Device())


def node(number, intended=True):
    return NodePlacement(name=str(number), op="Conv", kernel="k", place="CPU", intended=intended, reason="")


def test_the_share_of_nodes_is_the_metric():
    found = answered(ModelPlacement(intended="XNNPACK", nodes=(node(0), node(1, False), node(2), node(3))))
    quantity = found.metrics["delegated"]
    assert (quantity.value, quantity.low, quantity.high) == (0.75, 0.75, 0.75)
    assert [one.name for one in found.deployed.placed.others] == ["1"]
    assert len(found.entries) == 1


def test_what_is_not_told_has_no_figure_and_a_reason():
    found = answered(None)
    assert found.metrics == {}
    assert found.deployed.placed is None
    assert "ONNX Runtime" in found.deployed.untold["delegated"]

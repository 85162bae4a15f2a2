"""A backend of a user's own, whose runtime is one package without anything native."""

from paretune.backends.contract.backend import Availability, Backend
from paretune.profiles.precision import Precision


class TinyBackend(Backend):
    name = "tiny"
    title = "Tiny"
    packages = ("tiny-runtime",)
    on_device = ("tiny-runtime",)

    def availability(self):
        try:
            import tiny_runtime
        except ImportError as error:
            return Availability(installed=False, reason=str(error))
        return Availability(installed=True, version=tiny_runtime.VERSION)

    def precisions(self, profile):
        return (Precision.FP32,)

    def compile(self, model, settings, calibration, into):
        raise NotImplementedError

    def open(self, artifact, batch, threads):
        raise NotImplementedError

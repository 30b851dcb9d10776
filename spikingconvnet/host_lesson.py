"""What every step needs of a model that the host engine runs: the job, the model, the images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.classes.host_model import HostModel, Place
from spikingconvnet.errors import NotTrainedError, UsageError
from spikingconvnet.job import Images, Job, fingerprint, images_of

ORIGIN = "host engine"


@dataclass(frozen=True)
class Lesson:
    """Hold what every step needs of a host model: the job, the model and the images."""

    job: Job
    model: HostModel
    images: Images

    @property
    def shape(self) -> tuple[int, int]:
        """Return (height, width) of the images."""
        return self.images.shape

    def initial(self, place: Place) -> NDArray[np.float64]:
        """Return the weights that a convolution starts from, the same in every command."""
        rng = self.job.rng("weights", place.number)
        return place.layer.rule.initial_weights(place.layer.weight_shape(place.input_shape), rng)

    def trained(self, count: int | None = None) -> list[NDArray[np.float64]]:
        """Return the trained weights of the first `count` convolutions (None: of all)."""
        weights: list[NDArray[np.float64]] = []
        for place in self.model.places(self.shape):
            if count is not None and place.number > count:
                break
            weights.append(self._loaded(place, weights[: self.below(place)]))
        return weights

    def below(self, place: Place) -> int:
        """Return how many convolutions stand in earlier stages than a place."""
        return sum(other.stage < place.stage for other in self.model.places(self.shape))

    def _loaded(self, place: Place, below: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        run, number = self.job.run, place.number
        if not place.layer.images:
            return self.initial(place)
        again = f"run --mode training --layer {number}"
        if not run.has_weights(number):
            raise NotTrainedError(
                f"{run.weights_file(number)}: layer {number} is not trained yet ({again} first)"
            )
        found = run.load_weights(number)
        wanted = place.layer.weight_shape(place.input_shape)
        if found.weights.shape != wanted or found.rule.get("below") != fingerprint(below):
            raise UsageError(
                f"{run.weights_file(number)}: weights of shape {found.weights.shape}, or trained "
                f"on other layers below (the model has {wanted}; {again} again)"
            )
        return found.weights

    def untrained(self) -> list[NDArray[np.float64]]:
        """Return the weights that training would start from."""
        return [self.initial(place) for place in self.model.places(self.shape)]


def lesson(job: Job) -> Lesson:
    """Return what a step needs; NotTrainedError when no data has been loaded."""
    assert isinstance(job.model, HostModel)
    return Lesson(job, job.model, images_of(job))

"""How training images are distorted while a decision layer is taught, as a frozen record."""

from dataclasses import dataclass

from spikingconvnet.classes.neurons import check_number
from spikingconvnet.errors import ModelError


@dataclass(frozen=True)
class Distortion:
    """Describe random distortions of images; each image draws its own, anew in every epoch.

    It is turned by up to `degrees` either way, its height and width are each changed by up to
    `scale` (a share of them), it is slanted by up to `shear` (pixels to the side, a pixel), all
    uniform, and bent by displacements with a standard deviation of `elastic` pixels: normal noise
    smoothed by a Gaussian of `smoothness` pixels, after Simard, Steinkraus and Platt (ICDAR 2003).
    See `algorithms.distortion` for the equations.
    """

    degrees: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    smoothness: float = 5.0

    def __post_init__(self) -> None:
        """Check every value."""
        for name in ("degrees", "scale", "shear", "elastic"):
            check_number("Distortion", name, getattr(self, name), least=0)
        check_number("Distortion", "smoothness", self.smoothness, above=0)
        if self.degrees > 180:
            raise ModelError(f"Distortion.degrees: {self.degrees} (must be at most 180)")
        if self.scale >= 1:
            raise ModelError(f"Distortion.scale: {self.scale} (must be below 1, all of the image)")

    @property
    def changes(self) -> bool:
        """Tell whether images are changed at all."""
        return any((self.degrees, self.scale, self.shear, self.elastic))

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"turned by up to {self.degrees:g} degrees, stretched by {self.scale:.0%}, slanted by "
            f"{self.shear:g}, bent by {self.elastic:g} px (smooth over {self.smoothness:g} px)"
        )

"""One picture shown to the board's own network, on its board."""

from pathlib import Path

from spikingconvnet import prediction, report
from spikingconvnet.board_steps import infer, require_data, running_backend, trained_weights
from spikingconvnet.classes import network
from spikingconvnet.classes.network import Activity
from spikingconvnet.job import SVM_SCORE, Images, Job, by_class, images_of, sheet_of
from spikingconvnet.prediction import Chosen
from spikingconvnet.utilities.metrics import SILENT
from spikingconvnet.workflow import readouts_for


def _shown(job: Job, images: Images, picture: Chosen, watch: bool) -> tuple[Activity, str]:
    """Return what the trained network does when it sees a picture, and where that came from."""
    model = job.config.model(images.shape)
    with running_backend(job) as backend:
        weights = trained_weights(job, model, len(model.conv_layers))
        require_data(backend, "there is nothing to see")
        activity = infer(
            job, backend, model.stages, [weights], picture.pixels[None], "encode test",
            "showing one picture", watch=watch,
        )  # fmt: skip
    return activity[0], backend.origin


def predict(job: Job) -> None:
    """Tell the class of one picture."""
    images = images_of(job)
    model = job.config.model(images.shape)
    readout = readouts_for(job, trained_weights(job, model, len(model.conv_layers)))["trained"]
    picture = prediction.chosen(job, images)
    activity, _ = _shown(job, images, picture, watch=False)
    counts = network.spike_counts(
        list(activity.spikes.values())[-1], job.config.encoder.interval_ms, 1
    )
    label = int(readout.predict(counts)[0]) if counts.any() else SILENT
    scores = by_class(images, readout, readout.scores(counts))[0]
    prediction.tell(job, images, picture, label, scores, SVM_SCORE)


def show(job: Job) -> None:
    """Draw what happens in the network while it sees one picture."""
    images = images_of(job)
    picture = prediction.chosen(job, images)
    activity, origin = _shown(job, images, picture, watch=True)
    sheet = sheet_of(job, origin)
    stages = job.config.model(images.shape).stages
    files: list[Path] = report.activity_figures(sheet, stages, activity, 1, prefix="show_")
    for stage in stages:
        files += report.potential_figures(sheet, stage, activity, prefix="show_")
    files += report.raster_figure(sheet, activity, job.config.encoder.interval_ms)
    job.say("\n".join(map(str, files)))

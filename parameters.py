"""Everything a user sets. Values and comments only: the file is read, never executed.

Leave a setting or a whole section out to get its default. A mistake is reported with its line.
Units: ms, mV, nA, nF. Colons and commas as in any Python dict.
"""

# ---- data ----------------------------------------------------------------------------------------

DATA = {
    # "mnist" and "fashion-mnist" are fetched once and kept; "digits" (8 x 8) needs no download.
    "name": "mnist",
    # A folder of your own; None: fetch. It holds the four IDX files, as python-mnist reads them, or
    # pictures in sub-folders named after their classes (in "train" and "test", if you have both).
    "folder": None,
    # Labels to tell apart; None: all.
    "classes": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    # Drawn without replacement, from the training file and from the test file; None: all.
    "train_per_class": 100,
    "test_per_class": 100,
    # Share of the training images that is kept; then copies of them, turned and flipped, are added.
    "train_ratio": 1.0,
    "augment": False,
}

# ---- from pixels to spikes -----------------------------------------------------------------------

# Difference of Gaussians: light spots on dark ("on"), dark on light ("off"), or "both" as two
# channels. None: no filter.
FILTER = {"sigma_centre": 1.0, "sigma_surround": 2.0, "polarity": "both"}

ENCODER = {
    # "latency": one spike per pixel, the brighter the earlier. Others: "rate" (2018), "regular",
    # "poisson".
    "code": "latency",
    # An image lasts interval_ms; its spikes come in the first on_ms of it.
    "interval_ms": 40,
    "on_ms": 25,
    # Darker pixels (0..255) send nothing.
    "threshold": 50,
}

# ---- the network ---------------------------------------------------------------------------------

LAYERS = [
    {
        "layer": "conv",
        "kernels": 16,
        "shape": (5, 5),
        "stride": 2,
        # One window is shown for so long while the layer learns; windows may lie anywhere.
        "window_ms": 50,
        "train_stride": 1,
        # Each neuron that fires holds the others back by this current: one winner per window.
        "inhibition": 300.0,
        # Pair STDP. A synapse gains A_plus * exp(-t / tau_plus) when its spike came t before one of
        # the neuron, and loses A_minus * exp(-t / tau_minus) when it came t after. The long
        # tau_minus reaches into the windows that follow: what is common to all windows is
        # unlearnt, what is special to those that a neuron won remains.
        "rule": {
            "tau_plus": 15.0,
            "tau_minus": 100.0,
            "A_plus": 0.04,
            "A_minus": 0.02,
            "w_min": 0.0,
            "w_max": 1.0,
            "dependence": "additive",  # or "multiplicative"
            "pairing": "all",  # or "nearest"
            "w_init_mean": 0.5,
            "w_init_sd": 0.15,
        },
        # The neuron while learning: the long tau_refrac makes a winner step back for twelve
        # windows, so that the others get their turn.
        "train_neuron": {"cm": 0.5, "tau_m": 10.0, "v_thresh": -27.0, "tau_refrac": 600.0},
        # The neuron in the finished network, and the inhibition between the maps at one position.
        "neuron": {"cm": 0.5, "tau_m": 10.0, "v_thresh": -30.0, "tau_refrac": 1.0},
        "cross_inhibition": 3.0,
    },
    {
        "layer": "pool",
        "shape": (3, 3),
        "stride": 2,
        # Graded pooling: about one output spike per input spike, spread over time.
        "weight": 1.0,
        "neuron": {"cm": 0.5, "tau_m": 10.0, "v_thresh": -61.0, "tau_refrac": 1.0},
    },
]

TRAINING = {
    # Windows shown per image, drawn at random among those with at least min_spikes spikes.
    "windows_per_image": 8,
    "min_spikes": 6,
    # For --mode multi: copies of the layer on one board, and how often their weights are averaged.
    "copies": 4,
    "rounds": 4,
    # Record a potential every so many ms while learning; 0: none. Long runs make large recordings.
    "sample_ms": 0,
}

# A step that is stopped goes on from its last checkpoint. Images between two of them, or windows
# that a layer sees on a board: there each such batch is a run of its own, which starts from rest.
CHECKPOINT_EVERY = 5000

# Images shown in one run of the rebuilt network; more of them need more memory on the board.
INFERENCE = {"images_per_run": 1000}

# The read-out, a linear support vector machine: C weighs errors against simplicity. None: chosen by
# cross-validation on the training images.
CLASSIFIER = {"C": None}

# ---- where and how it runs -----------------------------------------------------------------------

# "software", "virtual", "spalloc:SERVER", or a board's host name or address; version 3 (four chips)
# or 5 (forty-eight).
BOARD = {"name": "software", "version": 5}

# Every random draw follows from this number.
SEED = 1

# Where results go, and whether each step's results are also copied to generated_backups/ there.
RUN_DIR = "runs/mnist"
BACKUP = True

# Figures as "png", "svg" or both; weights as text too?
FIGURES = {"formats": ["png"]}
CSV = False

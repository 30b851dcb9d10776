"""The job that tests deploy: `deployed16` made small, for the bundled 8 x 8 digits."""

OVERRIDES = {
    "layers.0.maps": 6,
    "layers.0.shape": (4, 4),
    "layers.0.padding": (1, 1),
    "layers.0.threshold": 3.0,
    "layers.0.pool.shape": (2, 2),
    "layers.0.pool.stride": (1, 1),
    "layers.0.images": 40,
}


def sections(train_per_class, test_per_class, **overrides):
    """Return the sections of its parameter file; `overrides` of the read-out's settings."""
    more = {f"readout.{name}": value for name, value in overrides.items()}
    return {
        "MODEL": "deployed16",
        "OVERRIDES": OVERRIDES | more,
        "DATA": {
            "name": "digits",
            "train_per_class": train_per_class,
            "test_per_class": test_per_class,
        },
        "BOARD": {"name": "software", "version": 3},
    }


def text(*numbers, **overrides):
    """Return its parameter file, without figures and backups."""
    settings = sections(*numbers, **overrides) | {"FIGURES": {"formats": []}, "BACKUP": False}
    return "".join(f"{name} = {value!r}\n" for name, value in settings.items())

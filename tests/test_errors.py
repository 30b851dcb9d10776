import pickle

import pytest

from spikingconvnet import errors

LEAVES = [
    (errors.UsageError, ValueError, 2),
    (errors.ConfigError, ValueError, 2),
    (errors.ModelError, ValueError, 2),
    (errors.DataError, ValueError, 1),
    (errors.StorageError, OSError, 1),
    (errors.NotTrainedError, LookupError, 2),
    (errors.BoardError, RuntimeError, 1),
    (errors.BoardUnreachable, ConnectionError, 1),
    (errors.NoDataError, RuntimeError, 2),
    (errors.DependencyError, ImportError, 2),
]


@pytest.mark.parametrize(("kind", "builtin", "code"), LEAVES)
def test_every_leaf_is_ours_and_the_builtin_a_caller_expects(kind, builtin, code):
    message = "ConvLayer.stride: 0 (must be at least 1)"
    with pytest.raises(builtin) as caught:
        raise kind(message)
    assert isinstance(caught.value, errors.SpikingConvNetError)
    assert caught.value.exit_code == code
    assert str(caught.value) == message


@pytest.mark.parametrize("kind", [leaf[0] for leaf in LEAVES])
def test_errors_cross_process_borders_unchanged(kind):
    copy = pickle.loads(pickle.dumps(kind("Input.shape: (0, 3) (must be at least 1)")))
    assert type(copy) is kind
    assert str(copy) == "Input.shape: (0, 3) (must be at least 1)"


def test_the_table_covers_every_error_of_the_module():
    public = {value for value in vars(errors).values() if isinstance(value, type)}
    assert public == {leaf[0] for leaf in LEAVES} | {errors.SpikingConvNetError}


def test_an_untrained_network_is_a_wrong_request_and_an_unreachable_board_a_board_error():
    assert issubclass(errors.NotTrainedError, errors.UsageError)
    assert issubclass(errors.BoardUnreachable, errors.BoardError)

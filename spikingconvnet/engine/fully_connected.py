"""The fully connected winner-take-all network, compiled: image after image, step by step."""

from typing import NamedTuple

import numpy as np
from numba import get_num_threads, njit, prange


class Constants(NamedTuple):
    """Give neuron and rule to the compiled functions; names as in `classes.fully_connected`."""

    v_rest: float
    v_thresh: float
    v_reset: float
    v_lost: float
    leak: float
    thresh_up: float
    thresh_down: float
    tau_refrac: int
    rate_plus: float
    rate_minus: float
    tau: float
    window: int
    mu: float
    w_min: float
    w_max: float
    homeostasis: float
    legacy: bool


@njit(cache=True, parallel=True, nogil=True)
def gaps(images, field, steps, most):
    """Return the steps between two spikes of every pixel (n, pixels), 0 for none.

    `images` (n, height, width) uint8, `field` (5, 5).
    """
    count, height, width = images.shape
    found = np.zeros((count, height * width), np.int32)
    for image in prange(count):
        values = np.empty(height * width, np.float64)
        for y in range(height):
            for x in range(width):
                total = 0.0
                for dy in range(max(-2, -y), min(3, height - y)):
                    for dx in range(max(-2, -x), min(3, width - x)):
                        total += field[dy + 2, dx + 2] * images[image, y + dy, x + dx]
                values[y * width + x] = total / 255
        low, high = values.min(), values.max()
        for pixel in range(height * width):
            if values[pixel] > 0 and high > low:
                rate = 1 + (values[pixel] - low) / (high - low) * (most - 1)
                found[image, pixel] = int(np.ceil(steps / rate))
    return found


@njit(cache=True)
def _schedule(gap, steps, begin, pixels):
    """List the pixels that fire at each step 1..steps: ``pixels[begin[t] : begin[t + 1]]``."""
    begin[:] = 0
    for pixel in range(len(gap)):
        if gap[pixel]:
            for time in range(gap[pixel], steps + 1, gap[pixel]):
                begin[time + 1] += 1
    for time in range(1, steps + 2):
        begin[time] += begin[time - 1]
    at = begin.copy()
    for pixel in range(len(gap)):
        if gap[pixel]:
            for time in range(gap[pixel], steps + 1, gap[pixel]):
                pixels[at[time]] = pixel
                at[time] += 1


@njit(cache=True)
def _learn(weights, winner, time, gap, spared, gains, constants):
    """Change the winner's weights by what fired in the window before `time`.

    ``gains[d]`` is the growth after d steps.
    """
    c = constants
    loss = c.rate_minus * np.exp(-1 / c.tau)
    for pixel in range(len(gap)):
        w = np.float64(weights[pixel, winner])
        since = time % gap[pixel] if gap[pixel] and time >= gap[pixel] else c.window + 1
        if since <= c.window:
            w += gains[since] * max(c.w_max - w, 0.0) ** c.mu
            spared[pixel] = 1
        elif spared[pixel] or w <= c.w_min:
            continue
        else:
            w -= loss * (w - c.w_min) ** c.mu
        weights[pixel, winner] = min(max(w, c.w_min), c.w_max)


@njit(cache=True, fastmath=True)
def _integrate(v, weights, pixels, first, end):
    for i in range(first, end):
        pixel = pixels[i]
        for j in range(weights.shape[1]):
            v[j] += weights[pixel, j]


@njit(cache=True, fastmath=True)
def _leak(v, thresh, raised, constants):
    """Let potentials and thresholds sink; return the highest potential above `raised`."""
    rest, leak = np.float32(constants.v_rest), np.float32(constants.leak)
    base, down = np.float32(constants.v_thresh), np.float32(constants.thresh_down)
    none = np.float32(0)
    top = np.float32(-np.inf)
    for j in range(len(v)):
        above = v[j] > rest
        thresh[j] -= down if above and thresh[j] > base else none
        v[j] -= leak if above else none
        top = max(top, v[j] - raised[j])
    return top


@njit(cache=True)
def _first_best(v, raised):
    """Return the first neuron with the highest potential above `raised`."""
    best = 0
    for j in range(1, len(v)):
        if v[j] - raised[j] > v[best] - raised[best]:
            best = j
    return best


@njit(cache=True)
def _show(gap, steps, weights, raised, neurons, learning, constants, work, wins):
    """Show one image; count the spikes of each neuron in `wins`; return the last winner or -1."""
    c = constants
    v, thresh, begin, pixels, spared, gains = work
    v[:] = c.v_rest
    v[neurons:] = -1e30
    thresh[:] = c.v_thresh
    spared[:] = 0
    wins[:] = 0
    _schedule(gap, steps, begin, pixels)
    # Below this nobody fires: a threshold sinks to less than one step below v_thresh.
    least = np.float32(c.v_thresh - c.thresh_down)
    resting, last, stale = 0, -1, c.v_lost
    for time in range(1, steps + 1):
        if not resting:
            _integrate(v, weights, pixels, begin[time], begin[time + 1])
            if _leak(v, thresh, raised, c) < least and not c.legacy:
                continue
        else:
            resting -= 1
            if not c.legacy or last < 0 or stale < thresh[last] + raised[last]:
                continue
        best = last
        if not (resting and c.legacy):
            best = _first_best(v, raised)
            stale = v[best]
        if stale < thresh[best] + raised[best]:
            continue
        if learning:
            _learn(weights, best, time, gap, spared, gains, constants)
            raised[best] += c.homeostasis
        wins[best] += 1
        last = best
        thresh[best] += c.thresh_up
        v[:neurons] = c.v_lost
        v[best] = c.v_reset
        resting = c.tau_refrac
    return last


@njit(cache=True)
def _work(padded, steps, pixels, most, constants):
    c = constants
    gains = c.rate_plus * np.exp(-np.arange(c.window + 1) / c.tau)
    return (
        np.empty(padded, np.float32),
        np.empty(padded, np.float32),
        np.empty(steps + 2, np.int64),
        np.empty(pixels * most + 1, np.int32),
        np.zeros(pixels, np.uint8),
        gains,
    )


@njit(cache=True, nogil=True)
def train(gap, order, steps, most, weights, raised, neurons, constants):
    """Show the images `order` once each; return the winner (images,) that fired last, or -1.

    Changes `weights` (pixels, padded neurons) and `raised` (padded neurons,), both float32, in
    place.
    """
    work = _work(weights.shape[1], steps, weights.shape[0], most, constants)
    wins = np.zeros(neurons, np.int64)
    winners = np.empty(len(order), np.int64)
    for i in range(len(order)):
        winners[i] = _show(
            gap[order[i]], steps, weights, raised, neurons, True, constants, work, wins
        )
    return winners


@njit(cache=True, parallel=True, nogil=True)
def _respond(gap, steps, most, weights, raised, neurons, constants, counts, blocks):
    for block in prange(blocks):
        work = _work(weights.shape[1], steps, weights.shape[0], most, constants)
        for image in range(block, len(gap), blocks):
            _show(
                gap[image], steps, weights, raised, neurons, False, constants, work, counts[image]
            )


def respond(gap, steps, most, weights, raised, neurons, constants):
    """Return the spikes of every neuron (images, neurons) to frozen weights."""
    counts = np.zeros((len(gap), neurons), np.int64)
    _respond(gap, steps, most, weights, raised, neurons, constants, counts, get_num_threads())
    return counts

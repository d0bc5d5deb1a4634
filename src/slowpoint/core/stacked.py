"""Systems on top of each other: each is driven by the state of the one below."""

import itertools

import jax.numpy as jnp

from slowpoint.core.system import Map, System


class Stacked(Map):
    """In one tick the lowest moves first, and each next one sees the new state below it.

    The state joins theirs, the lowest first; the output is that of the uppermost, as in
    PyTorch's `num_layers`. Raises ValueError where an input is not as wide as the state below.
    """

    parts: tuple[System, ...]

    def __check_init__(self):
        if not self.parts:
            raise ValueError("Nothing to stack: give one System or more.")
        for number, (below, above) in enumerate(itertools.pairwise(self.parts)):
            if below.state_size != above.input_size:
                raise ValueError(
                    f"Part {number} has a state of {below.state_size}, part {number + 1} takes "
                    f"an input of {above.input_size}. Build it with input_size="
                    f"{below.state_size}."
                )

    @property
    def state_size(self):
        return sum(part.state_size for part in self.parts)

    @property
    def input_size(self):
        return self.parts[0].input_size

    @property
    def output_size(self):
        return self.parts[-1].output_size

    @property
    def dt(self):
        return self.parts[0].dt

    @property
    def initial(self):
        return jnp.concatenate([part.initial for part in self.parts])

    def split(self, x):
        """The state of each part."""
        sizes = [part.state_size for part in self.parts]
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        return [x[..., end - size : end] for size, end in zip(sizes, ends)]

    def encode(self, u):
        return self.parts[0].encode(u)

    def step(self, x, u):
        return self.advance(x, self.encode(u))

    def advance(self, x, drive):
        moved = []
        for part, inside in zip(self.parts, self.split(x), strict=True):
            moved.append(part.advance(inside, drive if not moved else part.encode(moved[-1])))
        return jnp.concatenate(moved)

    def output(self, x):
        return self.parts[-1].output(self.split(x)[-1])

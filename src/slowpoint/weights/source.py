"""Where did a loaded network come from, and what of it did the file not say?"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Source:
    """What was found in a file, which part of it was used and what was assumed."""

    program: str  # "slowpoint" or "PyTorch"
    kind: str  # "GRU", "nn.LSTM": as that program calls it
    dtype: str  # of the numbers in the file, halves counted as float32
    keys: dict[str, str]  # what each array is called here, and in the file
    unused: tuple[str, ...] = ()  # arrays of the file that the System does not hold
    assumed: tuple[str, ...] = ()  # sentences a reader of any result must see
    path: str = ""
    sizes: tuple[int, int, int] = (0, 0, 0)  # of state, input and output

    def summary(self) -> str:
        """What was found, in one sentence."""
        state, inputs, outputs = self.sizes
        return (
            f"{self.path}: {self.kind} of {self.program} in {self.dtype}, {state} numbers of "
            f"state, {inputs} of input, {outputs} of output."
        )

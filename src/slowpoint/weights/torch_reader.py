"""What does PyTorch's pickle say, read as data? (Nothing that it names is imported or run.)"""

import dataclasses
import pickletools
import warnings
from collections.abc import Callable

import numpy as np

ALLOWED = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
)
STORAGES = {  # PyTorch's typed storages and safetensors' words for their numbers
    "torch DoubleStorage": "F64",
    "torch FloatStorage": "F32",
    "torch HalfStorage": "F16",
    "torch BFloat16Storage": "BF16",
    "torch LongStorage": "I64",
    "torch IntStorage": "I32",
    "torch ShortStorage": "I16",
    "torch CharStorage": "I8",
    "torch ByteStorage": "U8",
    "torch BoolStorage": "BOOL",
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT")
WORDS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8")
MOST_AXES = 32
Storage = Callable[[str, str, int], np.ndarray]  # (kind, record, how many) -> its numbers


@dataclasses.dataclass(frozen=True)
class Name:
    """A name that the pickle would import."""

    name: str


class Refused(ValueError):
    """A pickle that is more than numbers, or no longer whole."""


class Unknown(Refused):
    """A pickle that names something of PyTorch which the reader does not know."""


def read(pickle: bytes, storage: Storage) -> object:
    """The dicts, lists, numbers and arrays in `pickle`.

    Raises ValueError on any name, and on any operation, that a state dict does not need.
    """
    machine = Machine(storage)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a damaged name's escape sequences
            for operation, argument, _ in pickletools.genops(pickle):
                if operation.name == "STOP":
                    return machine.stack.pop()
                machine.do(operation.name, argument)
    except Refused:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise Refused(f"truncated or damaged (data.pkl: {error}).") from None
    raise Refused("truncated: data.pkl does not end.")


class Machine:
    """The part of pickle's stack machine that a state dict needs."""

    def __init__(self, storage: Storage):
        self.storage = storage
        self.stack: list = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def do(self, operation: str, argument: object) -> None:
        """Carry out one operation."""
        if operation in NUMBERS + WORDS:
            self.stack.append(argument)
        elif operation in CONSTANTS:
            self.stack.append(CONSTANTS[operation])
        elif operation in ("GLOBAL", "STACK_GLOBAL"):
            named = argument if operation == "GLOBAL" else " ".join(self.last(2))
            self.stack.append(Name(_allowed(str(named))))
        elif (handler := getattr(self, f"do_{operation}", None)) is not None:
            handler(argument)
        elif operation not in ("PROTO", "FRAME"):
            raise Refused(f"does what no state dict does ({operation} in data.pkl).")

    def last(self, count: int) -> list:
        """Take the top `count` values."""
        if count > len(self.stack):
            raise Refused("truncated or damaged (data.pkl takes what it did not give).")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def since_mark(self) -> list:
        """Take all values since the last mark."""
        return self.last(len(self.stack) - self.marks.pop())

    def keep(self, pairs: list) -> None:
        """Put `[key, value, key, value ...]` into the dict on top."""
        target, keys = self.stack[-1], pairs[0::2]
        if not isinstance(target, dict) or not all(isinstance(k, str | int) for k in keys):
            raise Refused("does what no state dict does (a key that is no word or number).")
        target.update(zip(keys, pairs[1::2]))

    def do_MARK(self, _):
        self.marks.append(len(self.stack))

    def do_EMPTY_DICT(self, _):
        self.stack.append({})

    def do_EMPTY_LIST(self, _):
        self.stack.append([])

    def do_EMPTY_TUPLE(self, _):
        self.stack.append(())

    def do_TUPLE(self, _):
        self.stack.append(tuple(self.since_mark()))

    def do_TUPLE1(self, _):
        self.stack.append(tuple(self.last(1)))

    def do_TUPLE2(self, _):
        self.stack.append(tuple(self.last(2)))

    def do_TUPLE3(self, _):
        self.stack.append(tuple(self.last(3)))

    def do_BINPUT(self, index):
        self.memo[index] = self.stack[-1]

    do_LONG_BINPUT = do_BINPUT

    def do_MEMOIZE(self, _):
        self.memo[len(self.memo)] = self.stack[-1]

    def do_BINGET(self, index):
        self.stack.append(self.memo[index])

    do_LONG_BINGET = do_BINGET

    def do_SETITEM(self, _):
        self.keep(self.last(2))

    def do_SETITEMS(self, _):
        self.keep(self.since_mark())

    def do_APPEND(self, _):
        values = self.last(1)
        self.stack[-1].extend(values)

    def do_APPENDS(self, _):
        values = self.since_mark()
        self.stack[-1].extend(values)

    def do_BUILD(self, _):
        self.last(1)  # `_metadata` of a state dict: versions of modules, no numbers

    def do_BINPERSID(self, _):
        (identity,) = self.last(1)
        word, kind, record, _, count = identity
        # types first: to hash or to print a tuple of tuples of tuples may never end
        if [type(part) for part in (word, kind, record, count)] != [str, Name, str, int]:
            raise Refused("names a storage by other than words and a number.")
        if word != "storage" or kind.name not in STORAGES:
            raise Refused(f"names a storage of an unknown kind ({kind.name}).")
        self.stack.append(self.storage(STORAGES[kind.name], record, count))

    def do_REDUCE(self, _):
        function, arguments = self.last(2)
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise Refused("calls what is no function.")
        if function.name == "collections OrderedDict":
            self.stack.append({})
            for key, value in arguments[0] if arguments else []:
                self.keep([key, value])
        elif function.name == "torch._utils _rebuild_parameter":
            self.stack.append(arguments[0])
        elif function.name == "torch._utils _rebuild_tensor_v2":
            self.stack.append(tensor(*arguments[:4]))
        else:
            raise Refused(f"calls {function.name}, which is no function.")


def _allowed(name: str) -> str:
    if name not in ALLOWED and name not in STORAGES:
        kind = Unknown if name.startswith("torch") else Refused
        raise kind(f"names {name.replace(' ', '.')[:200]}.")
    return name


def tensor(storage: np.ndarray, offset: int, shape: tuple, strides: tuple) -> np.ndarray:
    """A view of `storage`, nowhere outside of it."""
    sizes = (offset, *shape, *strides)
    if not isinstance(storage, np.ndarray) or len(shape) != len(strides):
        raise Refused("holds a tensor without storage, or with more strides than sizes.")
    if any(type(n) is not int for n in sizes):
        raise Refused("holds a tensor whose sizes are no whole numbers.")
    if len(shape) > MOST_AXES or any(not 0 <= n < 2**62 for n in sizes):
        raise Refused(f"holds a tensor of shape {shape[:9]} with strides {strides[:9]}.")
    count, last = 1, offset
    for size, stride in zip(shape, strides):
        count, last = count * size, last + (size - 1) * stride
    if count and (count > storage.size or last >= storage.size):
        raise Refused(
            f"holds a tensor of shape {shape} that reaches beyond the {storage.size} numbers "
            "of its storage."
        )
    steps = [s * storage.itemsize for s in strides] if count else [0] * len(strides)
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)

"""Where do the linear networks of rank one begin that learn a filter?

Overlaps of four random vectors of 500 numbers, each of length sqrt(500), as Ger and Barak
(2026), arXiv:2605.04115, draw them: one draw, written down, so that numbers that depend on it
do not depend on a generator.
"""

from slowpoint.theory.overlaps import rank_one

DRAWN = {
    "zm": 0.0519266068,
    "zu": 0.0164264289,
    "vm": 0.0809961227,
    "vu": 0.0642671040,
    "mu": 0.0757668554,
    "zv": 0.0124665781,
}
THETA_1 = rank_one(**DRAWN)
# equal in function to the first, with a longer u that is nearer to m
THETA_2 = rank_one(**(DRAWN | {"mu": 0.8, "uu": 2.048}))

"""A human arm in the horizontal plane, moved by torques at shoulder and elbow."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from slowpoint.core.system import Flow

Pair = tuple[float, float]  # of upper arm and forearm


class TwoJointArm(Flow):
    r"""$M(\theta) \ddot\theta + C(\theta, \dot\theta) + B \dot\theta = u$, without gravity.

    With $a_1 = I_1 + I_2 + m_2 l_1^2$, $a_2 = m_2 l_1 s_2$, $a_3 = I_2$, $c = \cos \theta_2$:
    $M = [[a_1 + 2 a_2 c, a_3 + a_2 c], [a_3 + a_2 c, a_3]]$ and
    $C = a_2 \sin \theta_2 (-\dot\theta_2 (2 \dot\theta_1 + \dot\theta_2), \dot\theta_1^2)$.

    State $[\theta_1, \theta_2, \dot\theta_1, \dot\theta_2]$ in rad and rad/s, the arm stretched
    at $\theta_2 = 0$; input two torques in N m; output the hand's place in m from the shoulder
    and, with `shows_velocity`, its velocity in m/s. It rests in any posture: two rates are 0.

    Li and Todorov (2004), ICINCO, 222. The table and M were checked against feedbax's
    `TwoLink`. There as here the inertias are about the joints (no $m s^2$ is added), so the
    mass and the centre of the upper arm belong to the table, but not to the motion.
    """

    masses: Pair = (1.4, 1.0)  # m, kg
    lengths: Pair = (0.30, 0.33)  # l, m
    centres: Pair = (0.11, 0.16)  # s, m from the joint nearer to the body
    inertias: Pair = (0.025, 0.045)  # I, kg m^2 about that joint
    friction: tuple[Pair, Pair] = ((0.05, 0.025), (0.025, 0.05))  # B, N m s
    dt: float = eqx.field(static=True, default=0.01)  # s
    shows_velocity: bool = eqx.field(static=True, default=False)
    state_size: int = eqx.field(static=True, default=4, init=False)
    input_size: int = eqx.field(static=True, default=2, init=False)

    @property
    def output_size(self):
        return 4 if self.shows_velocity else 2

    @property
    def coefficients(self) -> tuple[float, float, float]:
        """`(a1, a2, a3)`, kg m^2."""
        first, second = self.inertias
        reach = self.masses[1] * self.lengths[0]
        return first + second + reach * self.lengths[0], reach * self.centres[1], second

    def inertia(self, angles: Float[Array, "2"]) -> Float[Array, "2 2"]:
        """M: torques over angular accelerations, kg m^2. Positive definite at any elbow."""
        a1, a2, a3 = self.coefficients
        across = a3 + a2 * jnp.cos(angles[1])
        whole = a1 + 2 * a2 * jnp.cos(angles[1])
        return jnp.stack([whole, across, across, jnp.full_like(whole, a3)]).reshape(2, 2)

    def energy(self, x: Float[Array, "4"]) -> Float[Array, ""]:
        """Kinetic energy, J."""
        return x[2:] @ self.inertia(x[:2]) @ x[2:] / 2

    def hand(self, angles: Float[Array, "2"]) -> Float[Array, "2"]:
        """Where the hand is, m from the shoulder."""
        upper, fore = self.lengths
        turns = jnp.stack([angles[0], angles[0] + angles[1]])
        x, y = jnp.cos(turns), jnp.sin(turns)
        return jnp.stack([upper * x[0] + fore * x[1], upper * y[0] + fore * y[1]])

    def posture(self, hand: Float[Array, "2"]) -> Float[Array, "2"]:
        """The angles that bring the hand there, elbow bent to 0..pi; NaN out of reach."""
        upper, fore = self.lengths
        squared = hand @ hand
        elbow = jnp.arccos((squared - upper**2 - fore**2) / (2 * upper * fore))
        inward = jnp.arctan2(fore * jnp.sin(elbow), upper + fore * jnp.cos(elbow))
        return jnp.stack([jnp.arctan2(hand[1], hand[0]) - inward, elbow])

    def velocity(self, x, u):
        (shoulder, elbow), (b1, b2) = x[2:], jnp.asarray(self.friction, x.dtype)
        a2 = self.coefficients[1]
        turning = jnp.stack([-elbow * (2 * shoulder + elbow), shoulder**2])
        free = u - a2 * jnp.sin(x[1]) * turning - jnp.stack([b1 @ x[2:], b2 @ x[2:]])
        (m11, m12), (_, m22) = self.inertia(x[:2])
        solved = jnp.stack([m22 * free[0] - m12 * free[1], m11 * free[1] - m12 * free[0]])
        return jnp.concatenate([x[2:], solved / (m11 * m22 - m12**2)])

    def output(self, x):
        if not self.shows_velocity:
            return self.hand(x[:2])
        return jnp.concatenate(jax.jvp(self.hand, (x[:2],), (x[2:],)))


def example(key: PRNGKeyArray) -> TwoJointArm:
    """The arm of the paper, its velocity shown; nothing is drawn."""
    del key
    return TwoJointArm(shows_velocity=True)

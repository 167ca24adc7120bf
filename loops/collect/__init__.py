"""The collectors: kinds of a recipe's `collect`, the default first."""

from loops.collect.controlled_hallucination import ControlledHallucination
from loops.collect.given import GivenPairs
from loops.collect.greedy_and_sample import GreedyAndSample
from loops.collect.sampling import SampledAnswers

KINDS = (ControlledHallucination, SampledAnswers, GreedyAndSample, GivenPairs)

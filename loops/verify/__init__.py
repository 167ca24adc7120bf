"""The verifiers: kinds of a recipe's `verify`, the default first."""

from loops.verify.clip import Clip
from loops.verify.consistency import Consistency
from loops.verify.detector import Detector
from loops.verify.ensemble import Ensemble
from loops.verify.environment import Environment
from loops.verify.format import Format
from loops.verify.judge import Judge
from loops.verify.likelihood import Likelihood
from loops.verify.none import NoVerifier
from loops.verify.oracle import Oracle
from loops.verify.random import Random
from loops.verify.rule import Rule
from loops.verify.shorter import Shorter

KINDS = (
    Clip,
    Consistency,
    Likelihood,
    Judge,
    Detector,
    Environment,
    Ensemble,
    Rule,
    Format,
    Oracle,
    Random,
    Shorter,
    NoVerifier,
)

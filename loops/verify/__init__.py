"""The verifiers: kinds of a recipe's `verify`, the default first."""

from loops.verify.clip import Clip
from loops.verify.none import NoVerifier
from loops.verify.oracle import Oracle
from loops.verify.random import Random
from loops.verify.shorter import Shorter

KINDS = (Clip, Oracle, Random, Shorter, NoVerifier)

"""The collectors: kinds of a recipe's `collect`, the default first."""

from loops.collect.bad_prompt import BadPrompt
from loops.collect.beam import BeamSearch
from loops.collect.caption_dropout import CaptionDropout
from loops.collect.contrastive import Contrastive
from loops.collect.controlled_hallucination import ControlledHallucination
from loops.collect.distort import Distort
from loops.collect.episodes import Episodes
from loops.collect.given import GivenPairs
from loops.collect.greedy_and_sample import GreedyAndSample
from loops.collect.guided import Guided
from loops.collect.masked_attention import MaskedAttention
from loops.collect.random_negative import RandomNegative
from loops.collect.sampling import SampledAnswers
from loops.collect.self_question import SelfQuestion
from loops.collect.self_scene import SelfScene
from loops.collect.wrong_chain import WrongChain

KINDS = (
    ControlledHallucination,
    SampledAnswers,
    GreedyAndSample,
    BeamSearch,
    Guided,
    Contrastive,
    Distort,
    MaskedAttention,
    BadPrompt,
    WrongChain,
    SelfQuestion,
    SelfScene,
    Episodes,
    RandomNegative,
    CaptionDropout,
    GivenPairs,
)

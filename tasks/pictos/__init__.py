"""Pictos, the embedded world: seven benchmarks on scenes of pictograms that are composed here."""

from __future__ import annotations

from tasks.pictos.benchmarks import PictosCaptions, PictosChair, PictosPope
from tasks.pictos.quiz import PictosGrounding, PictosMathVista, PictosScienceQA
from tasks.pictos.reach import PictosReach

TASKS = {
    "pictos_pope": PictosPope,
    "pictos_chair": PictosChair,
    "pictos_captions": PictosCaptions,
    "pictos_scienceqa": PictosScienceQA,
    "pictos_mathvista": PictosMathVista,
    "pictos_grounding": PictosGrounding,
    "pictos_reach": PictosReach,
}

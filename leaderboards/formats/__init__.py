"""The output formats of `strop export`."""

from leaderboards.formats.csv import CSV
from leaderboards.formats.lm_eval_files import LM_EVAL
from leaderboards.formats.model_card import MODEL_CARD
from leaderboards.formats.paper import LATEX, MARKDOWN
from leaderboards.formats.parquet import PARQUET

FORMATS = (MARKDOWN, LATEX, CSV, PARQUET, LM_EVAL, MODEL_CARD)

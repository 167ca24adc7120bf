"""How tasks of lm-eval's are named, without importing lm-eval."""

from __future__ import annotations

PREFIX = "lm_eval:"
"""What the name of a task of lm-eval's begins with: `lm_eval:hellaswag` (`harness.lm_eval_tasks`)."""

PATH_VARIABLE = "STROP_LM_EVAL_PATH"
"""Names a folder of YAML files of the user's own, searched before lm-eval's."""

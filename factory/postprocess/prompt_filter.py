"""PromptFilter: the rules as a step, so that a worker refuses what admission would."""

from __future__ import annotations

from typing import TYPE_CHECKING

from factory.errors import Refused
from factory.postprocess.step import Step

if TYPE_CHECKING:
    from factory.domain.generation_spec import GenerationSpec
    from factory.postprocess.prompt_rules import Hit, PromptRules


class PromptFilter(Step):
    """Refuses a spec whose prompt a rule blocks. Warnings do not stop it."""

    name = "prompt_filter"

    def __init__(self, rules: PromptRules) -> None:
        self.rules = rules

    def check(self, spec: GenerationSpec) -> None:
        self.check_prompt(spec.prompt)

    def check_prompt(self, prompt: str) -> str:
        """The version of the rules that allow the prompt. Raises Refused; its detail says rule, span and what to write instead."""
        decision = self.rules.evaluate(prompt)
        if hit := decision.blocked:
            raise refusal(hit, decision.version)
        return decision.version


def refusal(hit: Hit, policy_version: str) -> Refused:
    """The error that explains a block; its `detail` is what clients and the log get."""
    return Refused(
        f"prompt: {hit.matched!r} at characters {hit.span[0]}–{hit.span[1]} is refused by rule {hit.rule!r} ({hit.category}). {hit.suggestion}",
        rule=hit.rule,
        span=hit.span,
        matched=hit.matched,
        category=hit.category,
        suggestion=hit.suggestion,
        policy_version=policy_version,
    )

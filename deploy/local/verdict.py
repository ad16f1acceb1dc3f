"""Whether a run went well, judged from what the gateway recorded of it."""

from collections.abc import Sequence

from deploy.local.answers import Balance, CallRecord

OUTCOME_OK = "ok"


def unsettled(before: Sequence[Balance], after: Sequence[Balance]) -> list[Balance]:
    """The balances on which more is held ``after`` a run than ``before`` it.

    Held amounts that were there before belong to calls of an earlier start that was killed; they expire by
    themselves.
    """
    held = {(balance.budget, balance.owner): balance.held for balance in before}
    return [balance for balance in after if balance.held > held.get((balance.budget, balance.owner), 0)]


def problems(
    *, flow_failure: str, calls: Sequence[CallRecord], before: Sequence[Balance], after: Sequence[Balance]
) -> list[str]:
    """Everything that went wrong with a run, one line each; empty where all went well."""
    found = [flow_failure] if flow_failure else []
    if not calls:
        found.append("the gateway recorded no LLM call of this run: the Flow did not call it")
    found += [
        f"LLM call {call.request_id} of {call.agent or 'an unnamed agent'} on tier {call.tier or '-'} "
        f"ended as {call.outcome}{f' ({call.error})' if call.error else ''}"
        for call in calls
        if call.outcome != OUTCOME_OK
    ]
    found += [
        f"budget {balance.budget} of {balance.owner} still holds {balance.held} for calls that have ended"
        for balance in unsettled(before, after)
    ]
    return found

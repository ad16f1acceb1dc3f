"""The domain: the tier map and every rule that values alone can decide. No I/O and no clock.

Read ``tiers.tiermap`` first: it holds the values that everything else works with.

    text ──▶ source ──▶ document ──▶ load ──▶ TierMap       what operators write, checked before any start
    profile + TierMap ──▶ routing ──▶ candidates            which tiers may serve a request, and why
    tier + sizes ──▶ estimate ──▶ budgets ──▶ holds         what a request may cost at most, and who pays
    usage, GPU seconds ──▶ meter, price ──▶ microdollars    what it did cost
"""

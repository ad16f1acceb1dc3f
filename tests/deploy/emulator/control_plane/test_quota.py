from deploy.emulator.control_plane.quota import WINDOWS, Quota, Window


def test_the_documented_policy_is_sixty_a_minute() -> None:
    verdict = Quota().take(0.0)
    assert verdict.exceeded == ""
    assert verdict.headers == {
        "RateLimit": '"minute";r=59;t=60, "hour";r=2999;t=3600, "day";r=49999;t=86400',
        "RateLimit-Policy": '"minute";q=60;w=60, "hour";q=3000;w=3600, "day";q=50000;w=86400',
    }


def test_a_used_up_window_says_when_it_ends_and_then_begins_anew() -> None:
    quota = Quota(WINDOWS)
    assert all(not quota.take(10.0).exceeded for _ in range(60))
    refused = quota.take(58.5)
    assert (refused.exceeded, refused.retry_after) == ("minute", 12)
    assert refused.headers["RateLimit"].startswith('"minute";r=0;t=12,')
    assert quota.take(69.999).exceeded == "minute"
    passed = quota.take(70.0)
    assert (passed.exceeded, passed.headers["RateLimit"].split(",")[0]) == ("", '"minute";r=59;t=60')


def test_a_refused_call_is_not_counted() -> None:
    quota = Quota((Window(name="minute", calls=1, seconds=60), Window(name="hour", calls=2, seconds=3600)))
    assert not quota.take(0.0).exceeded
    for _ in range(5):
        assert quota.take(1.0).exceeded == "minute"
    assert not quota.take(61.0).exceeded


def test_the_window_that_ends_last_is_the_one_that_is_told() -> None:
    quota = Quota((Window(name="minute", calls=1, seconds=60), Window(name="hour", calls=1, seconds=3600)))
    quota.take(0.0)
    refused = quota.take(0.0)
    assert (refused.exceeded, refused.retry_after) == ("hour", 3600)

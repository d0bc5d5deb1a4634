"""The time that an experiment may take is judged at the pace of the machine."""

import run_quick


def outcome(share, cpu):
    return run_quick.Outcome("a", share, cpu, cpu, 0, "")


def test_a_slow_machine_fails_nobody():
    outcomes = [outcome(share, 3.0 * share) for share in (10.0, 40.0, 60.0)]
    pace = run_quick.pace_of(outcomes)
    assert pace == 3.0
    assert not any(one.trouble(pace) for one in outcomes)


def test_one_that_grew_alone_is_seen():
    outcomes = [outcome(share, share) for share in (10.0, 40.0, 60.0)] + [outcome(50.0, 90.0)]
    pace = run_quick.pace_of(outcomes)
    assert pace == 1.0
    assert [bool(one.trouble(pace)) for one in outcomes] == [False, False, False, True]
    assert "more than 75 s" in outcomes[-1].trouble(pace)


def test_a_fast_machine_gives_no_less_than_the_share():
    assert run_quick.pace_of([outcome(10.0, 1.0), outcome(20.0, 1.0)]) == 1.0


def test_a_docstring_without_its_share_fails():
    assert "Takes" in outcome(None, 1.0).trouble(1.0)

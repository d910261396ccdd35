"""Errors carry what the peer sees and what the log sees, apart from each other."""

from appliance.errors import MailError, Permanent, Result, Temporary, internal


def test_the_reply_line_holds_code_text_and_crlf_but_no_cause() -> None:
    """A peer sees the public text only."""
    error = Permanent(550, "5.1.1", "no mailbox here by that name", "users/cdb has no entry")
    assert error.reply == b"550 5.1.1 no mailbox here by that name\r\n"


def test_the_exception_s_own_text_holds_the_cause_for_the_log() -> None:
    """What the operator reads names the cause."""
    assert "disk on fire" in str(Temporary(451, "4.3.0", "try again later", "disk on fire"))


def test_an_unforeseen_failure_is_temporary_and_generic() -> None:
    """A bug of ours never bounces a mail, nor tells the peer about itself."""
    error = internal(ZeroDivisionError("x"))
    assert error.result is Result.TEMPORARY
    assert 400 <= error.code < 500
    assert b"Zero" not in error.reply
    assert error.cause is not None


def test_the_three_results_have_qmail_s_letters() -> None:
    """K, Z and D are what workers report."""
    assert (Result.DONE.value, Result.TEMPORARY.value, Result.PERMANENT.value) == ("K", "Z", "D")


def test_an_error_of_no_class_of_its_own_is_temporary() -> None:
    """Anything unknown is temporary."""
    assert MailError(550, "5.0.0", "x").result is Result.TEMPORARY


def test_a_text_outside_ascii_does_not_break_the_reply() -> None:
    """A reply is ASCII whatever went into it."""
    assert Temporary(451, "4.3.0", "größe").reply == b"451 4.3.0 gr??e\r\n"

"""The event loop of programs that make it before they lock themselves in."""

import asyncio
import os

import uvloop

from appliance import calls, sandbox
from appliance.call_numbers import AUDIT
from appliance.calls import Calls

_NOT_RINGS = Calls(frozenset(), others=True)
if os.uname().machine in AUDIT:
    _NOT_RINGS.code  # noqa: B018  # made with the import, so that those who are forked share it


def new() -> asyncio.AbstractEventLoop:
    """uvloop, without the io_uring that it makes: through that, calls would be made that no filter sees. Raises OSError."""
    sandbox.keep_to_oneself()
    calls.confine(_NOT_RINGS)
    return uvloop.new_event_loop()

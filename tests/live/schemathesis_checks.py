"""What ``schemathesis`` checks besides its own; it loads this module (``SCHEMATHESIS_HOOKS``)."""

import schemathesis
from schemathesis import Case, CheckContext, Response

_PROBLEM = "application/problem+json"


@schemathesis.check
def nobody_is_let_in(_context: CheckContext, response: Response, _case: Case) -> None:
    """Nothing succeeds, and nothing leads elsewhere."""
    assert response.status_code >= 400, f"{response.status_code} without a token"


@schemathesis.check
def refusals_are_problems(_context: CheckContext, response: Response, case: Case) -> None:
    """Whatever is refused says so in one form, with a code."""
    if response.status_code < 400 or case.method == "HEAD" or (case.path, response.status_code) == ("/health", 503):
        return
    assert response.headers["content-type"] == [_PROBLEM], response.headers
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["code"], problem
    assert problem["detail"], problem

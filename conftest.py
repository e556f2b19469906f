"""For all tests and doctests: features are kept in a folder of this session, never in the user's own."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_feature_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NCTRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield

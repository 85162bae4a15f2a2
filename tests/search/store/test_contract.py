"""Both kinds of store do what machines that share one count on."""

import pytest
from contracts.store_contract import KEY, StoreContract, opened

pytestmark = pytest.mark.slow


class TestDirectory(StoreContract):
    @pytest.fixture
    def machine(self, tmp_path):
        return lambda name: opened(tmp_path / "store")

    def damage(self, store):
        (store.root / "sketch" / KEY / "part" / "file.txt").write_text("hellO")


class TestObjectStore(StoreContract):
    @pytest.fixture
    def machine(self, s3, bucket, tmp_path):
        self.s3, self.bucket = s3, bucket
        return lambda name: opened(tmp_path / name, f"s3://{bucket}/of/all")

    def damage(self, store):
        (name,) = self.s3.names(self.bucket, "of/all/files/")
        self.s3.write(self.bucket, name, b"hellO")

    def is_kept(self, store):
        return any("work/sketch" in name and "state.json" in name for name in self.s3.names(self.bucket))

"""A study on a PostgreSQL server that is killed, or whose line is cut, in the middle of its transactions."""

from __future__ import annotations

import inspect
import os
import random
import re
import socket
import threading
import time
from contextlib import closing

import pytest
from optuna.storages import _CachedStorage
from paretune.profiles.errors import UserError
from paretune.search.storage.lasting import READS, WRITES
from paretune.search.storage.lost import Patience
from paretune.search.storage.url import StorageUrl
from postgresql import ENCODED, PASSWORD, free_port, server
from study_on_server import CUT, kept, kept_at, open_study, searched, suggest, url_at

pytestmark = pytest.mark.slow

CUTS = int(os.environ.get("PARETUNE_CUTS", "6"))
"""Moments at which a line is cut; all where that is more than there are."""


@pytest.fixture(scope="module")
def postgresql():
    with server() as one:
        yield one


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The same search in a SQLite file, with nothing in its way."""

    def made(trials):
        url = StorageUrl.of_file(tmp_path_factory.mktemp("undisturbed") / "study.db")
        with closing(open_study(url, "s")) as store:
            searched(store, trials)
            return kept(store)

    return made


def test_all_that_optuna_asks_of_a_storage_waits_for_a_server():
    asked = set(re.findall(r"self\._backend\.(\w+)", inspect.getsource(_CachedStorage)))
    before_a_run = {"create_new_study", "delete_study"}
    of_heartbeats = {name for name in asked if "heartbeat" in name or "stale" in name}
    assert asked - before_a_run - of_heartbeats <= {*READS, *WRITES}


# -- a line that is cut at any moment -----------------------------------------------------------------------


class Line:
    """A TCP line to the server that is cut at the n-th message of its client: before it has arrived, or after
    the server has answered it, so that the client never knows."""

    def __init__(self, port):
        self.port, self._server = free_port(), port
        self.left, self.answered, self.messages = 0, False, 0
        self._lock, self._listener = threading.Lock(), socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            there = socket.create_connection(("127.0.0.1", self._server))
            for end in (client, there):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._carry, args=(client, there), daemon=True).start()

    def _carry(self, client, there):
        with client, there:
            try:
                while data := client.recv(1 << 20):
                    cut = self._is_the_one()
                    if not cut or self.answered:
                        there.sendall(data)
                        answer = self._answer(there)
                    if cut:
                        return
                    client.sendall(answer)
            except OSError:
                return

    def _is_the_one(self):
        with self._lock:
            self.messages += 1
            self.left -= 1
            return self.left == 0

    @staticmethod
    def _answer(there):
        """All that the server says before it waits for the client again."""
        answer = b""
        while not answer or not _whole(answer):
            more = there.recv(1 << 20)
            if not more:
                raise OSError("the server is gone")
            answer += more
        return answer

    def close(self):
        self._listener.close()


def _whole(answer):
    """Whether the server is ready (Z), refuses (E), or asks for the password (R), see
    https://www.postgresql.org/docs/current/protocol-message-formats.html."""
    if answer in (b"N", b"S"):  # to the question for TLS
        return True
    at, kind, code = 0, b"", 0
    while at + 5 <= len(answer):
        kind, size = answer[at : at + 1], int.from_bytes(answer[at + 1 : at + 5], "big")
        code = int.from_bytes(answer[at + 5 : at + 9], "big")
        at += 1 + size
    return at == len(answer) and (kind in b"ZE" or (kind == b"R" and code in (3, 5, 10, 11)))


@pytest.fixture(scope="module")
def line(postgresql):
    with closing(Line(postgresql.port)) as one:
        yield one


@pytest.mark.parametrize("answered", [False, True], ids=["before", "after"])
def test_a_line_that_is_cut_at_any_message_loses_nothing_and_doubles_nothing(
    postgresql, line, undisturbed, answered
):
    trials = 4
    wanted = undisturbed(trials)
    with closing(open_study(url_at(line.port), f"counted {answered}")) as store:
        before = line.messages
        searched(store, trials)
        messages = line.messages - before
    line.answered = answered
    every = max(1, messages // CUTS)
    for at in range(1 + random.Random(answered).randrange(every), messages, every):
        name = f"cut at {at} {answered}"
        with closing(open_study(url_at(line.port), name)) as store:
            line.left = at
            searched(store, trials)
            assert line.left <= 0
            assert kept(store) == wanted, at
        assert kept_at(url_at(postgresql.port), name) == wanted, at


# -- a server that is killed --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(int(os.environ.get("PARETUNE_KILLS", "2"))))
def test_kills_of_the_server_at_random_moments_lose_nothing_and_double_nothing(postgresql, undisturbed, seed):
    trials, rng, notes = 16, random.Random(seed), []
    now, noticed = threading.Semaphore(0), threading.Semaphore(0)
    at, moment = sorted(rng.sample(range(2 * trials - 4), 2)), 0

    def between():
        nonlocal moment
        if moment in at:
            now.release()
        moment += 1

    def killing():
        for _ in at:
            now.acquire()
            time.sleep(rng.uniform(0.0, 0.03))
            postgresql.kill()
            noticed.acquire(timeout=60)
            postgresql.start()

    def note(text):
        notes.append(text)
        if "does not answer" in text:
            noticed.release()

    name = f"killed {seed}"
    with closing(open_study(url_at(postgresql.port), name, Patience(note=note))) as store:
        killer = threading.Thread(target=killing)
        killer.start()
        searched(store, trials, between)
        killer.join()
        assert kept(store) == undisturbed(trials)
        store.set("after", "all")
    assert kept_at(url_at(postgresql.port), name) == undisturbed(trials)
    assert ["answers again, after" in note for note in notes] == [False, True] * len(at)


def test_a_server_that_forgot_which_ids_it_gave_gives_none_of_them_twice(postgresql):
    """After a crash the sequence may stand before what a transaction had of it that was not kept."""
    with closing(open_study(url_at(postgresql.port), "ids")) as store:
        with store.together():
            first, _ = store.ask(suggest)
            postgresql.asked(f"SELECT setval('trials_trial_id_seq', {first._trial_id}, false)")
            postgresql.asked(CUT)
        second, _ = store.ask(suggest)
        assert second._trial_id > first._trial_id
        assert [trial.number for trial in store.study.trials] == [0, 1]


@pytest.mark.parametrize(("seconds", "stops"), [(0.3, 0), (600.0, 1)], ids=["time", "stop"])
def test_a_server_that_stays_away_ends_the_run_in_one_message(postgresql, seconds, stops):
    asked = iter([0, 0, *[stops] * 10_000])
    notes = []
    patience = Patience(seconds=seconds, asked=lambda: next(asked), note=notes.append)
    with closing(open_study(url_at(postgresql.port), f"away {stops}", patience)) as store:
        trial, _ = store.ask(suggest)
        postgresql.stop()
        try:
            with pytest.raises(UserError, match="the study's storage fails") as caught:
                store.set("told", 1)
            began = time.monotonic()
            with pytest.raises(UserError, match="the study's storage fails"):
                store.give_up(trial)  # what a driver does on its way out is not waited for again
            assert time.monotonic() - began < 60
        finally:
            postgresql.start()
    said = f"{caught.value} {notes}"
    assert "nothing listens" in said
    assert "start the server" in said
    assert "it is waited for" in said
    assert PASSWORD not in said
    assert ENCODED not in said
    with closing(open_study(url_at(postgresql.port), f"away {stops}")) as again:
        assert again.recover() == 1
        assert again.get("told") is None


ENDS = """
CREATE FUNCTION ends() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER ends AFTER INSERT ON study_user_attributes DEFERRABLE INITIALLY {when}
FOR EACH ROW WHEN (NEW.key = 'deadly') EXECUTE FUNCTION ends()
"""


@pytest.mark.parametrize("when", ["IMMEDIATE", "DEFERRED"], ids=["statement", "commit"])
def test_what_ends_its_backend_whenever_it_is_asked_is_not_asked_for_ever(postgresql, when):
    notes = []
    patience = Patience(seconds=1.0, note=notes.append)
    with closing(open_study(url_at(postgresql.port), f"deadly {when}", patience)) as store:
        postgresql.asked(ENDS.format(when=when))
        try:
            with pytest.raises(UserError, match="the study's storage fails"):
                store.set("deadly", 1)
        finally:
            postgresql.asked("DROP FUNCTION ends CASCADE")
    assert ["is lost again at the same request" in note for note in notes] == [True]

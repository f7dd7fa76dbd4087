"""SPEC sections 5, 6 and 7: an enrolled device. Bytes in, bytes out; nothing comes out before the state is saved."""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Self

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from . import actions, names
from .attributes import binding
from .clock import Clock, KnownTime, SystemClock
from .epochs import ProofEpochs
from .errors import Malformed, Overtaken, ProveFirst, Untrusted
from .keys import DATA, FILE, PROOF, TOKEN, check_purposes, known_in, number_key, set_of
from .made_key import MADE_KEY, MadeKey, check_kind, open_made_key
from .messages import MAX_PLAINTEXT, MAX_PLATFORM_NONCE, Challenge, Confirmation, Proof, Reply, SealedPayload, Token
from .names import KeyName
from .primitives import equal, expand, frame, mac, sha256
from .proof import ack, ack_key, device_mac
from .state import Branch, State, branches_of
from .suite import Ephemeral, check_suite

# Returns when the bytes are durable, and raises where they may not be. `Store.save` is one.
Save = Callable[[bytes], None]


class Question:
    """The right to answer one challenge: the one that comes in reply to this question (section 5)."""

    __slots__ = ()


class Request:
    """A proved request on its way. To abandon it is safe; so is to ask again."""

    __slots__ = ("_ack_key", "_ephemeral", "_epoch_secret", "_named", "_sealing_key", "body", "proof")

    def __init__(self, proof: Proof, body: bytes, ack_key: bytes, epoch_secret: bytes) -> None:
        self.proof, self.body, self._ack_key = proof, body, ack_key
        # For a rekey alone.
        self._epoch_secret = epoch_secret
        self._ephemeral: Ephemeral | None = None
        self._named: int | None = None
        # For a key that the authority makes.
        self._sealing_key = b""

    @property
    def message(self) -> bytes:
        """Kind 5. `body` goes beside it."""
        return self.proof.encode()

    def made_key(self, reply_body: bytes) -> MadeKey:
        """Opens the key in the reply to `made-key`, which was acknowledged (section 8.2)."""
        if self.proof.action != MADE_KEY:
            raise Malformed("action", f"is not {MADE_KEY}")
        return open_made_key(self._sealing_key, self.proof.transcript(), self.body.decode(), reply_body)

    def __repr__(self) -> str:
        place = (self.proof.generation, self.proof.epoch, self.proof.number)
        return f"Request({self.proof.action}, {'.'.join(map(str, place))})"


class Device:
    """One device, for one thread at a time."""

    __slots__ = ("_clock", "_epochs", "_known_time", "_open", "_save", "_state")

    def __init__(self, state: State, save: Save, clock: Clock) -> None:
        self._state, self._save, self._clock = state, save, clock
        self._known_time = KnownTime(clock, state.known_time)
        self._epochs = ProofEpochs()
        # The one open question, or the request that answered it.
        self._open: Question | Request | None = None

    @classmethod
    def load(cls, saved: bytes, save: Save, clock: Clock | None = None) -> Self:
        """The device of the bytes that were saved last."""
        return cls(State.decode(saved), save, clock or SystemClock())

    @property
    def tenant(self) -> str:
        return self._state.tenant

    @property
    def device_id(self) -> str:
        return self._state.device_id

    @property
    def suite(self) -> int:
        return self._state.suite

    @property
    def generation(self) -> int:
        return self._state.generation

    @property
    def known_time(self) -> int:
        """Unix seconds, by the authority's last ack."""
        return self._known_time.now()

    def confirmation(self) -> bytes | None:
        """Kind 3, until the first ack (section 4). The state that it confirms is saved already."""
        confirmation = self._state.confirmation
        return confirmation and Confirmation(self.tenant, self.device_id, confirmation).encode()

    # --- Section 5 ---

    def ask(self) -> Question:
        """Call it right before asking for a challenge. The reply to any earlier question or request is not taken any more."""
        question = Question()
        self._open = question
        return question

    def prove(
        self, question: Question, challenge: bytes, action: str, body: bytes, measured: Mapping[str, bytes]
    ) -> Request:
        """`challenge` is kind 4, in reply to `question` over TLS; `measured` has at least what its recipe names, measured now."""
        if action == actions.REKEY:
            raise Malformed("action", "is rekey, which has a method of its own")
        if action == MADE_KEY:
            check_kind(body.decode(errors="replace"))
        request = self._prove(question, challenge, action, body, measured)
        # Needed for a rekey only.
        request._epoch_secret = b""
        return request

    def rekey(
        self,
        question: Question,
        challenge: bytes,
        suite: int,
        measured: Mapping[str, bytes],
        purposes: Collection[str] | None = None,
    ) -> Request:
        """Asks for the next generation (section 6), with other `purposes` than before if some are named.

        An authority older than revision 3 refuses named purposes as `malformed`; then ask without.
        """
        named = None if purposes is None else set_of(check_purposes(purposes))
        ephemeral = Ephemeral.generate(check_suite(suite))
        body = actions.rekey_body(suite, ephemeral.share, named)
        request = self._prove(question, challenge, actions.REKEY, body, measured)
        request._ephemeral, request._named = ephemeral, named
        return request

    def _prove(
        self, question: Question, challenge: bytes, action: str, body: bytes, measured: Mapping[str, bytes]
    ) -> Request:
        if question is not self._open:
            raise Overtaken("the question was answered or given up; ask again")
        self._open = None
        offer = Challenge.decode(challenge)
        names.action(action)
        bound = binding(offer.challenge, offer.recipe, measured)
        state, branch = self._state, self._branch(PROOF)
        epoch = self._epochs.next(branch.tree.first, branch.taken, state.schedule, offer.server_time)
        # The frontier stays: a false server_time must not carry the device away (section 3.1).
        epoch_secret = branch.tree.epoch_secret(epoch)
        unsigned = Proof(
            tenant=state.tenant,
            device_id=state.device_id,
            challenge=offer.challenge,
            device_nonce=os.urandom(32),
            generation=state.generation,
            epoch=epoch,
            number=branch.take(),
            action=action,
            body_digest=sha256(body),
            mac=bytes(32),
        )
        key = number_key(epoch_secret, unsigned.number)
        proof = replace(unsigned, mac=device_mac(key, bound, unsigned.transcript()))
        request = Request(proof, body, ack_key(key, bound), epoch_secret)
        if action == MADE_KEY:
            request._sealing_key = expand(key, "made key", bound)
        self._save(state.encode())
        self._open = request
        return request

    def acknowledge(self, request: Request, reply: bytes) -> bytes:
        """Checks the ack of a reply, kind 6, adopts what it says, and gives its body. A false reply changes nothing."""
        if request is not self._open:
            raise Overtaken("the request was answered or given up; ask again")
        parsed = Reply.decode(reply)
        t = request.proof.transcript()
        if not equal(parsed.ack, ack(request._ack_key, t, parsed.server_time, parsed.body)):
            raise Untrusted("the ack is wrong: the reply is not the authority's, or is not of this request")
        if request._ephemeral is None:
            branch = self._branch(PROOF)
            branch.move_to(request.proof.epoch)
            branch.taken += 1
            self._state.confirmation, self._state.is_proven = None, True
        else:
            self._adopt(request, request._ephemeral, parsed.body)
        self._open = None
        self._state.known_time = parsed.server_time
        self._known_time = KnownTime(self._clock, parsed.server_time)
        self._epochs.forget()
        self._save(self._state.encode())
        return parsed.body

    def _adopt(self, request: Request, ephemeral: Ephemeral, body: bytes) -> None:
        """Section 6: the next generation takes the place of this one, which is gone with the next save."""
        parsed = actions.RekeyReply.decode(ephemeral.suite, body, request._named)
        if parsed.generation != request.proof.generation + 1:
            raise Malformed("generation", "is not the next one")
        t = parsed.transcript(request.proof.transcript(), ephemeral.suite, ephemeral.share)
        root = actions.next_root(request._epoch_secret, ephemeral.agree(parsed.authority_share), t)
        state = self._state
        state.branches = branches_of(root, state.branches if parsed.granted is None else known_in(parsed.granted))
        state.suite, state.generation, state.schedule = ephemeral.suite, parsed.generation, parsed.schedule
        state.confirmation, state.is_proven = None, False

    def refused_as_spent(self, request: Request, next_epoch: int) -> None:
        """`epoch-spent`, and the epoch that it names: the next attempt takes it (section 3.1)."""
        if request is self._open:
            self._epochs.refused_as_spent(request.proof.epoch, next_epoch)

    def refused_as_ahead(self, request: Request) -> None:
        """`epoch-ahead`: what refusals said is forgotten."""
        if request is self._open:
            self._epochs.forget()

    # --- Section 7 ---

    def token(self, audience: str, platform_nonce: bytes = b"") -> bytes:
        """Kind 7: logs in to a platform, once."""
        if len(platform_nonce) > MAX_PLATFORM_NONCE:
            raise Malformed("platform nonce", f"has more than {MAX_PLATFORM_NONCE} bytes")
        if not self._state.is_proven:
            raise ProveFirst("no proof of this generation was acknowledged; authenticate first")
        names.audience(audience)
        now = self._known_time.now()
        name, key = self._take_key(TOKEN, now)
        who = (self.tenant, self.device_id, name.generation, name.epoch, name.number)
        unsigned = Token(*who, audience, platform_nonce, issued_at=now, mac=bytes(32))
        token = replace(unsigned, mac=mac(expand(key, "token"), unsigned.transcript()))
        self._save(self._state.encode())
        return token.encode()

    def seal(self, plaintext: bytes, additional_data: bytes = b"") -> bytes:
        """Kind 8: for the platforms that may open it, under a key that is used for nothing else."""
        if max(len(plaintext), len(additional_data)) > MAX_PLAINTEXT:
            raise Malformed("plaintext", f"or additional data has more than {MAX_PLAINTEXT} bytes")
        name, key = self._take_key(DATA, self._known_time.latest())
        nonce = os.urandom(12)
        bound = frame(str(name).encode()) + frame(additional_data)
        sealed = SealedPayload(name, nonce, AESGCM(key).encrypt(nonce, plaintext, bound))
        self._save(self._state.encode())
        return sealed.encode()

    def wrap(self, file_key: bytes) -> tuple[str, bytes]:
        """The stanza of an age file: its arguments, and its body."""
        if len(file_key) != 16:
            raise Malformed("file key", "has not 16 bytes")
        name, key = self._take_key(FILE, self._known_time.latest())
        self._save(self._state.encode())
        return f"ddkg1 {name}", wrap_file_key(key, file_key)

    def _take_key(self, purpose: str, time: int) -> tuple[KeyName, bytes]:
        epoch, number, key = self._branch(purpose).take_key(self._state.schedule, time)
        return KeyName(self.tenant, self.device_id, self.generation, purpose, epoch, number), key

    def _branch(self, purpose: str) -> Branch:
        if purpose not in self._state.branches:
            raise Malformed("purpose", f"{purpose} was left out when the keys were agreed on")
        return self._state.branches[purpose]

    def __repr__(self) -> str:
        return f"Device({self.tenant}/{self.device_id}, generation {self.generation})"


def wrap_file_key(key: bytes, file_key: bytes) -> bytes:
    """`key` is K[g,file,e,n]. It is used once, hence the constant nonce, as in age's own stanzas."""
    return ChaCha20Poly1305(expand(key, "age")).encrypt(bytes(12), file_key, None)

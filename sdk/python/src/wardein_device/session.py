"""Asks for things, one at a time, over any transport, and does what refusals ask for (SPEC section 13)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from . import actions, attributes
from .device import Device, Question, Request
from .errors import Overtaken, Untrusted
from .made_key import MADE_KEY, MadeKey, check_kind
from .messages import Challenge
from .pins import PIN_BUNDLE
from .refusals import Action, Refused
from .renewal import Window


class Answer(NamedTuple):
    # Kind 6.
    reply: bytes
    # The authority wants a rekey soon. The ack does not cover it.
    rekey_due: bool
    # When the certificate in the reply is to be renewed, where there is one in it. The ack does not cover it.
    renewal: Window | None = None


class Transport(Protocol):
    """TLS that authenticates the authority and matches answers with questions. Each raises `Refused`."""

    def challenge(self, tenant: str, device_id: str) -> bytes:
        """Kind 4."""
        ...

    def prove(self, proof: bytes, body: bytes) -> Answer:
        """`proof` is kind 5."""
        ...

    def confirm(self, confirmation: bytes) -> None:
        """`confirmation` is kind 3."""
        ...


# Gives the named attributes, measured now.
Measure = Callable[[Sequence[str]], Mapping[str, bytes]]
_Make = Callable[[Question, bytes, Mapping[str, bytes]], Request]

ATTEMPTS: Final = 6


class Session:
    """It never sleeps: a `Refused` goes to the caller with its `action`, and `Patience` says how long to wait."""

    def __init__(self, device: Device, transport: Transport, measure: Measure) -> None:
        self._device, self._transport, self._measure = device, transport, measure
        # Call `rekey` when it is convenient.
        self.rekey_due = False
        # What the authority said with the last reply, for `renew_at`.
        self.renewal: Window | None = None

    def authenticate(self) -> None:
        """Shows that the device is there, and learns the time."""
        self._prove(actions.AUTHENTICATE, b"")

    def certificate(self, request: bytes) -> list[bytes]:
        """`request` is PKCS#10 in DER with a key on P-256 (section 8). Gives the certificates, DER, leaf first."""
        return actions.certificates(self._prove(actions.CERTIFICATE, request))

    def made_key(self, kind: str) -> MadeKey:
        """A key that the authority makes, with its certificate (section 8.2): p256, p384, rsa-2048, rsa-3072 or rsa-4096.

        Where the reply is lost, asking again brings another key with another certificate.
        """
        request, body = self._request(MADE_KEY, check_kind(kind).encode())
        return request.made_key(body)

    def trust_bundle(self) -> bytes:
        """PEM: the roots, then the issuing CAs."""
        return self._prove(actions.TRUST_BUNDLE, b"")

    def signed_bundle(self) -> bytes | None:
        """The pins of the platform's keys, for `PinBundle.open`; none where it has none."""
        return self._prove(actions.TRUST_BUNDLE, PIN_BUNDLE) or None

    def announce(self, coming: Mapping[str, bytes]) -> None:
        """All attributes as they will be measured from now on or soon (section 8.1)."""
        self._prove(actions.ATTRIBUTES, attributes.encode(coming))

    def rekey(self, suite: int | None = None, purposes: Collection[str] | None = None) -> None:
        """Goes over to new keys, with suite and purposes of the present ones unless said, and proves once that they are right.

        An authority that knows of no named purposes leaves them as they are.
        """
        suite = suite or self._device.suite
        try:
            self._rekey(suite, purposes)
        except Refused as refused:
            if refused.action is not Action.TAKE_SUITE or suite >= 2:
                raise
            self._rekey(2, purposes)
        # Not by rekeying again: an authority that always asks for it would never let go.
        self._prove(actions.AUTHENTICATE, b"", may_rekey=False)

    def _rekey(self, suite: int, purposes: Collection[str] | None) -> None:
        try:
            self._ask(
                lambda question, challenge, measured: self._device.rekey(
                    question, challenge, suite, measured, purposes
                ),
                may_rekey=False,
            )
        except Refused as refused:
            # Of before revision 3 (section 6).
            if refused.code != "malformed" or purposes is None:
                raise
            self._rekey(suite, None)

    def _prove(self, action: str, body: bytes, may_rekey: bool = True) -> bytes:
        return self._request(action, body, may_rekey)[1]

    def _request(self, action: str, body: bytes, may_rekey: bool = True) -> tuple[Request, bytes]:
        """With the request that was acknowledged at last."""
        return self._ask(
            lambda question, challenge, measured: self._device.prove(question, challenge, action, body, measured),
            may_rekey,
        )

    def _ask(self, make: _Make, may_rekey: bool) -> tuple[Request, bytes]:
        for left in range(ATTEMPTS - 1, -1, -1):
            question = self._device.ask()
            challenge = self._transport.challenge(self._device.tenant, self._device.device_id)
            request = make(question, challenge, self._measure(Challenge.decode(challenge).recipe))
            try:
                answer = self._transport.prove(request.message, request.body)
                body = self._device.acknowledge(request, answer.reply)
            except Refused as refused:
                self._mind(refused, request, may_rekey, left)
                may_rekey = may_rekey and refused.action is not Action.REKEY
            except Untrusted:
                # Somebody between changed the reply. It changed nothing, and to ask again is safe.
                if left == 0:
                    raise
            else:
                self.rekey_due, self.renewal = answer.rekey_due, answer.renewal
                return request, body
        raise Overtaken("the request was not answered")

    def _mind(self, refused: Refused, request: Request, may_rekey: bool, left: int) -> None:
        """Does what must come before the same request again, or raises."""
        if refused.action is Action.TAKE_EPOCH:
            if refused.code == "epoch-spent":
                # Without one named, the next.
                self._device.refused_as_spent(request, refused.epoch or 0)
            else:
                self._device.refused_as_ahead(request)
        elif refused.action is Action.CONFIRM:
            confirmation = self._device.confirmation()
            if confirmation is None:
                # Acknowledged once, there is nothing to confirm: the authority lost what it knew.
                refused.action = Action.SEEK_HELP
                raise refused
            self._transport.confirm(confirmation)
        elif refused.action is Action.REKEY and may_rekey:
            self.rekey()
        elif refused.action is not Action.ASK_AGAIN:
            raise refused
        if left == 0:
            refused.action = Action.SEEK_HELP
            raise refused

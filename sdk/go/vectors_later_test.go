package device

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// The lists of the vectors that came later. What a device has to judge is judged by it; of what the authority judges, whether the
// messages are read, and whether those that it accepts are made as a device makes them.

func messagesSection(root *vector) {
	seen := map[uint64]bool{}
	for _, v := range root.cases("messages") {
		v.text("name")
		kind := v.number("kind")
		seen[kind] = true
		encoded := messageOf(v.t, kind, v.section("fields"))
		v.is("encoded", encoded)
		v.isText("base64", ToText(encoded))
		if got := must[[]byte](v.t)(FromText(v.text("base64"))); !bytes.Equal(got, encoded) {
			v.t.Errorf("%s: the text is not read back", v.path)
		}
		if again := must[[]byte](v.t)(kinds[byte(kind)](encoded)); !bytes.Equal(again, encoded) {
			v.t.Errorf("%s: the message is not read back", v.path)
		}
	}
	if len(seen) != len(kinds) {
		root.t.Errorf("the kinds are %v", seen)
	}
}

func messageOf(t *testing.T, kind uint64, f *vector) []byte {
	array := func(name string) [32]byte { return [32]byte(f.hex(name)) }
	schedule := func() Schedule { return Schedule{f.number("period"), f.number("max_uses"), f.number("not_before")} }
	switch kind {
	case 1:
		return must[[]byte](t)((&EnrollmentRequest{
			Suite(f.number("suite")), f.text("tenant"), f.text("device_id"), array("device_nonce"), f.hex("device_share"),
			attributesOf(f.section("attributes")),
		}).Encode())
	case 2:
		return (&EnrollmentReply{
			Suite(f.number("suite")), f.hex("authority_share"), f.number("generation"), schedule(), f.hex("signature"),
			array("authority_confirmation"),
		}).Encode()
	case 3:
		return (&Confirmation{f.text("tenant"), f.text("device_id"), array("device_confirmation")}).Encode()
	case 4:
		return (&Challenge{f.hex("challenge"), f.number("server_time"), f.texts("recipe")}).Encode()
	case 5:
		return (&Proof{
			f.text("tenant"), f.text("device_id"), f.hex("challenge"), array("device_nonce"), f.number("generation"),
			uint32(f.number("epoch")), f.number("number"), f.text("action"), array("body_digest"), array("mac"),
		}).Encode()
	case 6:
		return (&Reply{f.number("server_time"), array("ack"), f.hex("body")}).Encode()
	case 7:
		return (&Token{
			f.text("tenant"), f.text("device_id"), f.number("generation"), uint32(f.number("epoch")), f.number("number"),
			f.text("audience"), f.hex("platform_nonce"), f.number("issued_at"), array("mac"),
		}).Encode()
	case 8:
		name := must[KeyName](t)(ParseKeyName(f.text("key_name")))
		return (&SealedPayload{name, [12]byte(f.hex("nonce")), f.hex("ciphertext")}).Encode()
	}
	t.Fatalf("there is no kind %d", kind)
	return nil
}

func attributesOf(v *vector) Attributes {
	attributes := Attributes{}
	for name := range v.fields {
		attributes[name] = []byte(v.text(name))
	}
	return attributes
}

func bindingsSection(root *vector) {
	for _, v := range root.cases("bindings") {
		v.text("name")
		v.is("binding", must[[]byte](v.t)(binding(v.hex("challenge"), v.texts("recipe"), vectorAttributes())))
	}
}

func attributeBodiesSection(root *vector) {
	for _, v := range root.cases("attribute_bodies") {
		v.text("name")
		values := attributesOf(v.section("values"))
		body := must[[]byte](v.t)(values.Encode())
		v.is("body", body)
		v.is("body_digest", digest(body))
		v.is("body", must[[]byte](v.t)(must[Attributes](v.t)(readAttributes(body)).Encode()))
	}
}

func readAttributes(body []byte) (Attributes, error) {
	r := &reader{rest: body}
	attributes := r.attributes()
	return attributes, r.end("attributes")
}

func enrollmentVector(t *testing.T, at uint64) *vector {
	return newVector(t, "", vectors["enrollment"].([]any)[at].(map[string]any))
}

func rekeysSection(root *vector) {
	suites := map[uint64]bool{}
	for _, v := range root.cases("rekeys") {
		v.text("name")
		suites[v.number("suite")] = true
		// Null where none are named; a file older than revision 3 has no such fields.
		v.ofTheAuthority("purposes_named", "purposes_granted")
		named, granted := v.optional("purposes_named"), v.optional("purposes_granted")
		ephemeral := enrollmentOf(enrollmentVector(v.t, v.number("agreement"))).enrolling.ephemeral
		v.isNumber("suite", uint64(ephemeral.suite))
		v.is("body", rekeyBody(ephemeral.suite, ephemeral.share, named))
		device := awaiting(v, ephemeral)
		proof, secrets := device.request.Proof, device.request.secrets
		if proof.BodyDigest != [32]byte(digest(v.hex("body"))) {
			v.t.Error("the proof is of another body")
		}
		reply := must[*rekeyReply](v.t)(parseRekeyReply(ephemeral.suite, must[*Reply](v.t)(ParseReply(v.hex("reply"))).Body, named))
		if (reply.granted == nil) != (granted == nil) || granted != nil && *reply.granted != *granted {
			v.t.Errorf("%s: others are granted", v.path)
		}
		v.is("transcript", reply.transcript(proof.transcript(), ephemeral.suite, ephemeral.share))
		secrets.named = named
		must[[]byte](v.t)(device.Acknowledge(device.request, v.hex("reply")))
		v.isNumber("generation", device.Generation())
		if device.state.schedule != (Schedule{v.number("period"), v.number("max_uses"), v.number("not_before")}) {
			v.t.Errorf("%v", device.state.schedule)
		}
		purposes := AllPurposes
		if granted != nil {
			purposes = knownIn(*granted)
		}
		if len(purposes) != len(device.state.branches) {
			v.t.Errorf("%s: trees for others are kept", v.path)
		}
		for _, purpose := range purposes {
			if got := device.state.branches[purpose].tree[0].secret[:]; !bytes.Equal(got, purposeRoot(v.hex("new_generation_root"), purpose)) {
				v.t.Errorf("another tree for %s", purpose)
			}
		}
	}
	if !suites[1] || !suites[2] {
		root.t.Errorf("the suites are %v", suites)
	}
}

// This device carries out no transfer. The request is a proof like any other, with the body of a rekey.
func transfersSection(root *vector) {
	for _, v := range root.cases("transfers") {
		v.text("name")
		ephemeral := enrollmentOf(enrollmentVector(v.t, v.number("agreement"))).enrolling.ephemeral
		v.isNumber("suite", uint64(ephemeral.suite))
		v.is("body", rekeyBody(ephemeral.suite, ephemeral.share, nil))
		proof := awaiting(v, ephemeral).request.Proof
		if proof.Action != "transfer" || proof.BodyDigest != [32]byte(digest(v.hex("body"))) {
			v.t.Errorf("%s: the proof is of another action or body", v.path)
		}
		must[*Reply](v.t)(ParseReply(v.hex("reply")))
		v.ofTheAuthority("new_tenant", "new_device_id", "generation", "period", "max_uses", "not_before", "transcript", "new_generation_root")
	}
}

// The request is a proof like any other; its sealing key opens what comes.
func madeKeysSection(root *vector) {
	for _, v := range root.cases("made_keys") {
		v.text("name")
		proof := awaiting(v, nil).request.Proof
		if proof.Action != "made-key" || proof.BodyDigest != [32]byte(digest(v.hex("body"))) {
			v.t.Errorf("%s: the proof is of another action or body", v.path)
		}
		_, bound, key := proofKey(v.t, v.hex("generation_root"), proof, vectorAttributes(), v.texts("recipe"))
		sealingKey := expand(key, "made key", bound)
		v.is("sealing_key", sealingKey)
		body := must[*Reply](v.t)(ParseReply(v.hex("reply"))).Body
		v.is("nonce", body[:nonceLength])
		pkcs8, rest, err := unseal(sealingKey, proof.transcript(), body)
		if err != nil {
			v.t.Errorf("%s: %v", v.path, err)
		}
		v.is("pkcs8", pkcs8)
		v.is("certificates", rest)
	}
}

// This device lets nobody in by a code. Its macs are made as all others.
func serviceCodesSection(root *vector) {
	for _, v := range root.cases("service_codes") {
		v.text("name")
		generation, epoch, number := v.number("generation"), v.number("epoch"), v.number("number")
		secret := must[[]byte](v.t)(treeOf(purposeRoot(v.hex("generation_root"), "service")).epochSecret(epoch))
		key := numberKey(secret, number)
		asked := transcript("service challenge", v.text("tenant"), v.text("device_id"), generation, epoch, number, v.text("scope"))
		mark := binary.BigEndian.Uint64(mac(expand(key, "service challenge", nil), asked)) >> (64 - 35)
		if challenge := strings.ReplaceAll(v.text("challenge"), "-", ""); !strings.HasSuffix(challenge, crockford(mark, 7)) {
			v.t.Errorf("%s: the challenge is %s", v.path, challenge)
		}
		units := v.number("units")
		answer := binary.BigEndian.Uint64(mac(expand(key, "service code", nil), transcript("service code", asked, units))) >> (64 - 42)
		if code := strings.ReplaceAll(v.text("code"), "-", ""); code != crockford(units<<42|answer, 10) {
			v.t.Errorf("%s: the code is %s", v.path, code)
		}
	}
}

func emergencyCodesSection(root *vector) {
	for _, v := range root.cases("emergency_codes") {
		v.text("name")
		secret := must[[]byte](v.t)(treeOf(purposeRoot(v.hex("generation_root"), "service")).epochSecret(v.number("epoch")))
		bits := new(big.Int).SetBytes(expand(numberKey(secret, v.number("number")), "emergency code", nil)[:10])
		bits.Rsh(bits, 80-75)
		code, check := "", uint64(0)
		for place := 14; place >= 0; place-- {
			digit := new(big.Int).Rsh(bits, uint(5*place)).Uint64() & 31
			if check = (check ^ digit) << 1; check&32 != 0 {
				check ^= 0b100101
			}
			code += crockford(digit, 1)
		}
		if shown := strings.ReplaceAll(v.text("code"), "-", ""); shown != code+crockford(check, 1) {
			v.t.Errorf("%s: the code is %s", v.path, shown)
		}
	}
}

// This device has no visits. What its keys make of one is checked.
func carriedProtocolsSection(root *vector) {
	for _, v := range root.cases("carried_protocols") {
		v.text("name")
		tenant, id, body := v.text("tenant"), v.text("device_id"), v.hex("body")
		generation, epoch, number := v.number("generation"), v.number("epoch"), v.number("number")
		secret := must[[]byte](v.t)(treeOf(purposeRoot(v.hex("generation_root"), "service")).epochSecret(epoch))
		tag := mac(expand(numberKey(secret, number), "visit protocol", nil),
			transcript("visit protocol", tenant, id, generation, epoch, number, digest(body)))
		message := binary.BigEndian.AppendUint64([]byte{17}, generation)
		message = binary.BigEndian.AppendUint32(message, uint32(epoch))
		message = binary.BigEndian.AppendUint64(message, number)
		v.is("message", append(frame(message, body), tag...))
	}
}

func crockford(value uint64, length int) string {
	text := make([]byte, length)
	for place := range length {
		text[length-1-place] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[value>>(5*place)&31]
	}
	return string(text)
}

func (v *vector) optional(name string) *uint32 {
	if !v.has(name) {
		return nil
	}
	set := uint32(v.number(name))
	return &set
}

// awaiting is a device that has sent the proof of the case, whose mac is right.
func awaiting(v *vector, ephemeral *ephemeral) *Device {
	proof, root := must[*Proof](v.t)(ParseProof(v.hex("proof"))), v.hex("generation_root")
	secret, bound, key := proofKey(v.t, root, proof, vectorAttributes(), v.texts("recipe"))
	if !equal(deviceMac(key, bound, proof.transcript()), proof.Mac[:]) {
		v.t.Error("the mac of the proof is wrong")
	}
	s := &state{
		tenant: vectorTenant, deviceID: vectorDevice, suite: Suite1, generation: proof.Generation, isProven: true,
		branches: branchesOf(root, AllPurposes),
	}
	device := newDevice(s, func([]byte) error { return nil }, &testClock{})
	device.request = &Request{Proof: proof, secrets: &requestSecrets{ackKey: ackKey(key, bound), epochSecret: secret, ephemeral: ephemeral}}
	return device
}

func proofKey(t *testing.T, root []byte, proof *Proof, attributes Attributes, recipe []string) (secret, bound, key []byte) {
	secret = must[[]byte](t)(treeOf(purposeRoot(root, ProofPurpose)).epochSecret(uint64(proof.Epoch)))
	bound = must[[]byte](t)(binding(proof.Challenge, recipe, attributes))
	return secret, bound, numberKey(secret, proof.Number)
}

func refusalsSection(root *vector) {
	lists := root.section("refusals")
	for name, judge := range map[string]func(*vector){
		"malformed": judgeMalformed, "enrollment": judgeEnrollment, "acks": judgeAck,
		"proofs": judgeProofs, "tokens": judgeTokens, "sealed": judgeSealed,
	} {
		for _, v := range lists.cases(name) {
			v.text("name")
			judge(v)
		}
	}
}

func judgeMalformed(v *vector) {
	decoders := map[string]func([]byte) ([]byte, error){
		"enrollment request": kinds[1], "enrollment reply": kinds[2], "confirmation": kinds[3], "challenge": kinds[4],
		"proof": kinds[5], "reply": kinds[6], "token": kinds[7], "sealed payload": kinds[8],
		"attributes body": func(data []byte) ([]byte, error) { _, err := readAttributes(data); return nil, err },
		"base64":          func(data []byte) ([]byte, error) { return FromText(string(data)) },
	}
	of, data := v.text("of"), v.hex("input")
	v.isText("expect", "malformed")
	if of == "rekey body" {
		// A device makes it, and never reads one.
		return
	}
	if _, err := decoders[of](data); !isMalformed(err) {
		v.t.Errorf("%s: %v", v.text("name"), err)
	}
}

func judgeEnrollment(v *vector) {
	c := enrollmentOf(enrollmentVector(v.t, v.number("of")))
	isSaved := false
	save := func([]byte) error { isSaved = true; return nil }
	data, expected := v.hex("input"), v.text("expect")
	switch message := v.text("message"); message {
	case "reply":
		_, err := c.enrolling.Finish(data, save, &testClock{})
		words := map[string]string{"signature-wrong": "signature", "confirmation-wrong": "confirmation"}[expected]
		if expected == "accepted" && err != nil {
			v.t.Errorf("%s: %v", v.text("name"), err)
		}
		if expected != "accepted" && (words == "" || !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), words) || isSaved) {
			v.t.Errorf("%s: %v", v.text("name"), err)
		}
	case "confirmation":
		right := must[*Device](v.t)(c.enrolling.Finish(c.reply.Encode(), save, &testClock{})).Confirmation()
		must[*Confirmation](v.t)(ParseConfirmation(data))
		if bytes.Equal(data, right) != (expected == "accepted") {
			v.t.Error(v.text("name"))
		}
	case "request":
		// Whether the share is a point is the authority's to judge.
		must[*EnrollmentRequest](v.t)(ParseEnrollmentRequest(data))
	default:
		v.t.Errorf("there is no message %s", message)
	}
}

func judgeAck(v *vector) {
	device := awaiting(v, nil)
	before := device.state.encode()
	_, err := device.Acknowledge(device.request, v.hex("reply"))
	switch expected := v.text("expect"); {
	case expected == "accepted" && err == nil:
	case expected == "ack-wrong" && errors.Is(err, ErrUntrusted) && bytes.Equal(device.state.encode(), before):
	default:
		v.t.Errorf("%s: %v", v.text("name"), err)
	}
}

// rootsOf is by generation; those of a replaced one have its number as well.
func rootsOf(v *vector) map[uint64][][]byte {
	roots := map[uint64][][]byte{}
	for _, each := range v.cases("generations") {
		each.ofTheAuthority("state", "period", "max_uses", "not_before")
		number := each.number("generation")
		roots[number] = append(roots[number], each.hex("generation_root"))
	}
	return roots
}

func judgeProofs(v *vector) {
	v.ofTheAuthority("challenge_key", "confirmed")
	roots := rootsOf(v)
	// On record, and announced.
	known := []Attributes{attributesOf(v.section("attributes"))}
	for _, step := range v.cases("steps") {
		step.ofTheAuthority("name", "now_ms", "next_epoch", "highest_epoch", "reply")
		proof, body := must[*Proof](v.t)(ParseProof(step.hex("proof"))), step.hex("body")
		if step.text("expect") != "accepted" {
			continue
		}
		if proof.BodyDigest != [32]byte(digest(body)) {
			v.t.Error("the proof is of another body")
		}
		t, parsed, right := proof.transcript(), must[*Reply](v.t)(ParseReply(step.hex("reply"))), 0
		for _, root := range roots[proof.Generation] {
			for _, attributes := range known {
				_, bound, key := proofKey(v.t, root, proof, attributes, attributes.names())
				if equal(deviceMac(key, bound, t), proof.Mac[:]) {
					right++
					if !equal(ack(ackKey(key, bound), t, parsed.ServerTime, parsed.Body), parsed.Ack[:]) {
						v.t.Errorf("%v: the ack is wrong", step.fields["name"])
					}
				}
			}
		}
		if right != 1 {
			v.t.Errorf("%v: the mac is right %d times", step.fields["name"], right)
		}
		if proof.Action == actionAttributes {
			known = append(known, must[Attributes](v.t)(readAttributes(body)))
		}
	}
}

func judgeTokens(v *vector) {
	roots := rootsOf(v)
	for _, step := range v.cases("steps") {
		step.ofTheAuthority("name", "now_ms", "next_epoch", "highest_epoch", "audience", "platform_nonce")
		token, expected := must[*Token](v.t)(ParseToken(step.hex("token"))), step.text("expect")
		for _, root := range roots[token.Generation] {
			secret := must[[]byte](v.t)(treeOf(purposeRoot(root, TokenPurpose)).epochSecret(uint64(token.Epoch)))
			right := mac(expand(numberKey(secret, token.Number), "token", nil), token.transcript())
			if isRight := equal(right, token.Mac[:]); isRight == (expected == "mac-wrong") && expected != "wrong-device" {
				v.t.Errorf("%v: whether the mac is right: %v", step.fields["name"], isRight)
			}
		}
	}
}

func judgeSealed(v *vector) {
	roots := rootsOf(v)
	for _, step := range v.cases("steps") {
		step.ofTheAuthority("name", "now_ms", "plaintext")
		sealed, expected := must[*SealedPayload](v.t)(ParseSealedPayload(step.hex("sealed"))), step.text("expect")
		name := sealed.KeyName
		for _, root := range roots[name.Generation] {
			secret := must[[]byte](v.t)(treeOf(purposeRoot(root, name.Purpose)).epochSecret(uint64(name.Epoch)))
			aead, err := payloadAEAD(numberKey(secret, name.Number))
			if err != nil {
				v.t.Fatal(err)
			}
			plaintext, err := aead.Open(nil, sealed.Nonce[:], sealed.Ciphertext, payloadData(name, step.hex("additional_data")))
			if expected == "accepted" {
				step.is("plaintext", plaintext)
			} else if expected == "open-failed" && err == nil {
				v.t.Errorf("%v: %s", step.fields["name"], hex.EncodeToString(plaintext))
			}
		}
		step.ofTheAuthority("additional_data")
	}
}

func TestTheNamesOfLaterSectionsAreFound(t *testing.T) {
	// The control: where SPEC.md has the table, all of it is seen.
	if names := laterSections(t); len(names) > 0 && !slices.Equal(names, []string{"attribute_bodies", "bindings", "carried_protocols", "emergency_codes", "made_keys", "messages", "refusals", "rekeys", "service_codes", "transfers"}) {
		t.Error(names)
	}
}

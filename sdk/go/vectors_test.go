package device

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/mlkem"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every value of the vectors is reproduced, or used; a section or value that nobody reads fails.

var sections = map[string]func(*vector){
	"expand":     expandSection,
	"transcript": transcriptSection,
	"tree":       treeSection,
	"keys":       keysSection,
	"schedule":   scheduleSection,
	"attributes": attributesSection,
	"enrollment": enrollmentSection,
	"proof":      proofSection,
	"signature":  signatureSection,
	"rekey":      rekeySection,
	"sealed":     sealedSection,
	"token":      tokenSection,
	"file":       fileSection,
	// They came later.
	"messages":          messagesSection,
	"bindings":          bindingsSection,
	"attribute_bodies":  attributeBodiesSection,
	"rekeys":            rekeysSection,
	"transfers":         transfersSection,
	"made_keys":         madeKeysSection,
	"service_codes":     serviceCodesSection,
	"emergency_codes":   emergencyCodesSection,
	"carried_protocols": carriedProtocolsSection,
	"refusals":          refusalsSection,
}

// laterSections are the lists that section 10 of SPEC.md has; a file that it does not speak of may lack any.
func laterSections(t *testing.T) (names []string) {
	spec := string(must[[]byte](t)(os.ReadFile(repository + "crates/ddkg/SPEC.md")))
	_, section, _ := strings.Cut(spec, "\n## 10. ")
	section, _, _ = strings.Cut(section, "\n## 11. ")
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)[a-z_.]*` \\| ").FindAllStringSubmatch(section, -1) {
		names = append(names, row[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

var vectorNames = []string{"seed_note", "tenant", "device_id"}

func TestVectors(t *testing.T) {
	for name := range vectors {
		if slices.Contains(vectorNames, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			check := sections[name]
			if check == nil {
				t.Fatalf("nothing reads the section %s", name)
			}
			root := newVector(t, "", map[string]any{name: vectors[name]})
			check(root)
			if unread := root.allUnread(); len(unread) > 0 {
				t.Errorf("nobody looks at %v", unread)
			}
		})
	}
}

// So that a shorter file, or one under other names, is noticed.
func TestThereAreAsManySectionsAsAreKnown(t *testing.T) {
	optional := []string{"messages", "bindings", "attribute_bodies", "rekeys", "transfers", "made_keys", "service_codes", "emergency_codes", "carried_protocols", "refusals"}
	required := append(slices.Clone(vectorNames), laterSections(t)...)
	if os.Getenv("WARDEIN_DDKG_VECTORS") != "" {
		required = slices.Clone(vectorNames)
	}
	for name := range sections {
		if !slices.Contains(optional, name) {
			required = append(required, name)
		}
	}
	for _, name := range required {
		if vectors[name] == nil {
			t.Errorf("the file lacks %s", name)
		}
	}
	for _, name := range laterSections(t) {
		if sections[name] == nil {
			t.Errorf("nothing reads %s", name)
		}
	}
}

func TestAValueThatNobodyLooksAtIsNoticed(t *testing.T) {
	root := newVector(t, "", map[string]any{"schedule": []any{map[string]any{"period": json.Number("0"), "new": json.Number("1")}}})
	root.cases("schedule")[0].number("period")
	if unread := root.allUnread(); !slices.Equal(unread, []string{".schedule.0.new"}) {
		t.Errorf("%v", unread)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func expandSection(root *vector) {
	for _, v := range root.cases("expand") {
		v.is("out", expandTo(v.hex("secret"), v.text("label"), v.hex("context"), int(v.number("length"))))
	}
}

func transcriptSection(root *vector) {
	for _, v := range root.cases("transcript") {
		var fields []any
		for _, field := range v.texts("fields") {
			data, err := hex.DecodeString(field)
			if err != nil {
				v.t.Fatal(err)
			}
			fields = append(fields, data)
		}
		v.is("out", transcript(v.text("label"), fields...))
	}
}

func treeSection(root *vector) {
	v := root.section("tree")
	wholeRoot := purposeRoot(v.hex("generation_root"), Purpose(v.text("purpose")))
	v.is("root", wholeRoot)
	whole := treeOf(wholeRoot)
	for _, leaf := range v.cases("leaves") {
		leaf.is("secret", must[[]byte](v.t)(whole.epochSecret(leaf.number("epoch"))))
	}
	for _, cover := range v.cases("covers") {
		cover.is("encoded", must[tree](v.t)(whole.cover(cover.number("from"), cover.number("to"))).encode())
	}
	frontiers := v.cases("frontiers")
	slices.SortFunc(frontiers, func(a, b *vector) int { return int(int64(a.number("epoch")) - int64(b.number("epoch"))) })
	// Both from the root and step by step.
	moving := treeOf(wholeRoot)
	for _, frontier := range frontiers {
		epoch := frontier.number("epoch")
		moving = moving.advance(epoch)
		frontier.isNumber("nodes", uint64(len(moving)))
		frontier.is("encoded", moving.encode())
		frontier.is("encoded", must[tree](v.t)(treeOf(wholeRoot).cover(epoch, lastEpoch)).encode())
		frontier.is("encoded", must[tree](v.t)(parseTree(frontier.hex("encoded"))).encode())
	}
}

func keysSection(root *vector) {
	v := root.section("keys")
	for _, entry := range v.cases("entries") {
		purpose, epoch, number := Purpose(entry.text("purpose")), entry.number("epoch"), entry.number("number")
		secret := must[[]byte](v.t)(treeOf(purposeRoot(v.hex("generation_root"), purpose)).epochSecret(epoch))
		entry.is("key", numberKey(secret, number))
		name := KeyName{vectorTenant, vectorDevice, 1, purpose, uint32(epoch), number}
		entry.isText("name", name.String())
		if must[KeyName](v.t)(ParseKeyName(entry.text("name"))) != name {
			v.t.Errorf("%v is not read back", name)
		}
	}
}

func scheduleSection(root *vector) {
	for _, v := range root.cases("schedule") {
		v.isNumber("due", Schedule{v.number("period"), 0, v.number("not_before")}.due(v.number("time")))
	}
}

func attributesSection(root *vector) {
	v := root.section("attributes")
	attributes := Attributes{}
	values, digests := v.section("values"), v.section("digests")
	for name := range values.fields {
		attributes[name] = []byte(values.text(name))
		digests.is(name, attributeDigest(name, attributes[name]))
	}
	v.is("digest", attributes.digest())
}

// enrollmentOf is a case, from both ends. Suite 2 has no signature in the vectors; it gets one by a key of the test.
type enrollmentCase struct {
	enrolling *Enrolling
	reply     *EnrollmentReply
	kem       *mlkem.DecapsulationKey768
	t         []byte
}

func p256Of(v *vector, name string) *ecdh.PrivateKey {
	return must[*ecdh.PrivateKey](v.t)(ecdh.P256().NewPrivateKey(v.hex(name)))
}

func enrollmentOf(v *vector) *enrollmentCase {
	c := &enrollmentCase{}
	suite := Suite(v.number("suite"))
	if suite == Suite2 {
		seed := append(v.hex("mlkem_keygen_d"), v.hex("mlkem_keygen_z")...)
		c.kem = must[*mlkem.DecapsulationKey768](v.t)(mlkem.NewDecapsulationKey768(seed))
	}
	ephemeral := ephemeralOf(p256Of(v, "device_p256_private"), c.kem)
	request := &EnrollmentRequest{
		suite, vectorTenant, vectorDevice, [32]byte(v.hex("device_nonce")), ephemeral.share, vectorAttributes(),
	}
	c.reply = &EnrollmentReply{
		suite, v.hex("authority_share"), v.number("generation"),
		Schedule{v.number("period"), v.number("max_uses"), v.number("not_before")},
		nil, [32]byte(v.hex("authority_confirmation")),
	}
	c.t = enrollmentTranscript(request, c.reply)
	var point []byte
	if v.has("signature") {
		c.reply.Signature, point = v.hex("signature"), v.hex("authority_identity_public")
	} else {
		key := must[*ecdsa.PrivateKey](v.t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		c.reply.Signature = must[[]byte](v.t)(ecdsa.SignASN1(rand.Reader, key, digest(c.t)))
		point = must[*ecdh.PublicKey](v.t)(key.PublicKey.ECDH()).Bytes()
	}
	identity := must[*IdentityKey](v.t)(ParseIdentityKey([]byte(hex.EncodeToString(point) + "\n")))
	c.enrolling = &Enrolling{request, must[[]byte](v.t)(request.Encode()), ephemeral, identity, AllPurposes}
	return c
}

func enrollmentSection(root *vector) {
	var suites []Suite
	for _, v := range root.cases("enrollment") {
		suites = append(suites, Suite(v.number("suite")))
		oneEnrollment(v)
	}
	if !slices.Equal(suites, []Suite{Suite1, Suite2}) {
		root.t.Errorf("the suites are %v", suites)
	}
}

func oneEnrollment(v *vector) {
	c := enrollmentOf(v)
	ephemeral, share := c.enrolling.ephemeral, v.hex("authority_share")
	v.is("device_share", ephemeral.share)
	v.is("ikm", must[[]byte](v.t)(ephemeral.agree(share)))
	// The same from the authority's end.
	other := must[*ecdh.PublicKey](v.t)(ecdh.P256().NewPublicKey(v.hex("device_share")[:pointLength]))
	ecdhX := must[[]byte](v.t)(p256Of(v, "authority_p256_private").ECDH(other))
	if !bytes.Equal(ecdhX, v.hex("ikm")[:32]) {
		v.t.Error("the authority agrees on something else")
	}
	if c.kem != nil {
		v.is("mlkem_shared_secret", must[[]byte](v.t)(c.kem.Decapsulate(share[pointLength:])))
		v.is("mlkem_shared_secret", v.hex("ikm")[32:])
		// Randomness of the other end, which no library takes from outside; decapsulation has shown its result.
		if len(v.hex("mlkem_encaps_m")) != 32 {
			v.t.Error("mlkem_encaps_m")
		}
	}
	v.is("transcript", c.t)
	generationRoot, _, _ := agreed(v.hex("ikm"), c.t)
	v.is("generation_root", generationRoot)

	// And all of it through the device itself.
	var saved []byte
	device := must[*Device](v.t)(c.enrolling.Finish(c.reply.Encode(), func(data []byte) error { saved = data; return nil }, &testClock{}))
	v.is("device_confirmation", device.Confirmation()[len(device.Confirmation())-32:])
	v.isNumber("not_before", device.KnownTime())
	state := must[*state](v.t)(parseState(saved))
	for _, purpose := range AllPurposes {
		if !bytes.Equal(state.branches[purpose].tree[0].secret[:], purposeRoot(v.hex("generation_root"), purpose)) {
			v.t.Errorf("another tree for %s is saved", purpose)
		}
	}
}

func keyAt(v *vector, purpose Purpose) []byte {
	secret := must[[]byte](v.t)(treeOf(purposeRoot(v.hex("generation_root"), purpose)).epochSecret(v.number("epoch")))
	return numberKey(secret, v.number("number"))
}

func proofSection(root *vector) {
	v := root.section("proof")
	key := keyAt(v, ProofPurpose)
	bound := must[[]byte](v.t)(binding(v.hex("challenge"), v.texts("recipe"), vectorAttributes()))
	v.is("binding", bound)
	proof := &Proof{
		vectorTenant, vectorDevice, v.hex("challenge"), [32]byte(v.hex("device_nonce")),
		v.number("generation"), uint32(v.number("epoch")), v.number("number"), v.text("action"),
		[32]byte(v.hex("body_digest")), [32]byte(v.hex("mac")),
	}
	t := proof.transcript()
	v.is("transcript", t)
	v.is("mac", deviceMac(key, bound, t))
	// Only the digest of the reply's body is given, so its transcript is written out.
	v.is("ack", mac(ackKey(key, bound), transcript("ack", t, v.number("server_time"), v.hex("reply_digest"))))
}

// A device that derives its keys never signs; the transcript is checked for who adds that.
func signatureSection(root *vector) {
	v := root.section("signature")
	v.is("transcript", transcript("signature", vectorTenant, vectorDevice, v.hex("challenge"), v.hex("device_nonce"), v.hex("key_id"),
		v.text("action"), v.hex("body_digest")))
	v.is("body_digest", digest(nil))
}

func rekeySection(root *vector) {
	v := root.section("rekey")
	reply := &rekeyReply{
		v.hex("authority_share"), v.number("generation"),
		Schedule{v.number("period"), v.number("max_uses"), v.number("not_before")}, nil,
	}
	t := reply.transcript(v.hex("proof_transcript"), Suite(v.number("suite")), v.hex("device_share"))
	v.is("transcript", t)
	secret := must[[]byte](v.t)(treeOf(purposeRoot(v.hex("generation_root"), ProofPurpose)).epochSecret(v.number("epoch")))
	v.is("new_generation_root", nextRoot(secret, v.hex("ikm"), t))
}

// deviceAt is a device whose next key of the purpose is the one of the case.
func deviceAt(v *vector, purpose Purpose, knownTime uint64) *Device {
	s := &state{
		tenant: vectorTenant, deviceID: vectorDevice, suite: Suite1, generation: 1, knownTime: knownTime, isProven: true,
		branches: branchesOf(v.hex("generation_root"), AllPurposes),
	}
	if v.has("generation") {
		s.generation = v.number("generation")
	}
	s.branches[purpose].moveTo(v.number("epoch"))
	s.branches[purpose].number = v.number("number")
	return newDevice(s, func([]byte) error { return nil }, &testClock{})
}

func sealedSection(root *vector) {
	v := root.section("sealed")
	name, key, err := deviceAt(v, DataPurpose, 0).takeKey(DataPurpose, 0)
	if err != nil {
		v.t.Fatal(err)
	}
	aead, err := payloadAEAD(key)
	if err != nil {
		v.t.Fatal(err)
	}
	bound := payloadData(name, v.hex("additional_data"))
	v.is("ciphertext", aead.Seal(nil, v.hex("nonce"), v.hex("plaintext"), bound))
	// And what the device seals is opened so.
	sealed := must[*SealedPayload](v.t)(ParseSealedPayload(must[[]byte](v.t)(
		deviceAt(v, DataPurpose, 0).Seal(v.hex("plaintext"), v.hex("additional_data")))))
	v.is("plaintext", must[[]byte](v.t)(aead.Open(nil, sealed.Nonce[:], sealed.Ciphertext, bound)))
}

func tokenSection(root *vector) {
	v := root.section("token")
	message := must[[]byte](v.t)(deviceAt(v, TokenPurpose, v.number("issued_at")).Token(v.text("audience"), v.hex("platform_nonce")))
	token := must[*Token](v.t)(ParseToken(message))
	v.is("mac", token.Mac[:])
	v.isNumber("generation", token.Generation)
	v.isNumber("epoch", uint64(token.Epoch))
	v.isNumber("number", token.Number)
	v.isNumber("issued_at", token.IssuedAt)
}

func fileSection(root *vector) {
	v := root.section("file")
	stanza := must[*Stanza](v.t)(deviceAt(v, FilePurpose, 0).Wrap(v.hex("file_key")))
	v.isText("stanza", stanza.Arguments)
	v.is("body", stanza.Body)
}

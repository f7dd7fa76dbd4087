package device

// Sections 6 and 8: what the actions' bodies and reply bodies are made of.

const (
	actionAuthenticate = "authenticate"
	actionCertificate  = "certificate"
	actionRekey        = "rekey"
	actionAttributes   = "attributes"
	actionTrustBundle  = "trust-bundle"
)

// ParseCertificates takes the reply to `certificate`: DER, leaf first.
func ParseCertificates(replyBody []byte) ([][]byte, error) {
	r := &reader{rest: replyBody}
	var found [][]byte
	for len(r.rest) > 0 {
		found = append(found, r.framed("certificate", 1, maxBody))
	}
	if len(found) == 0 {
		r.fail("certificates", "are none")
	}
	return found, r.end("certificates")
}

// rekeyBody has the set of purposes that the device is to use, where it is to use others than before.
func rekeyBody(suite Suite, deviceShare []byte, named *uint32) []byte {
	body := frame(u16(nil, uint16(suite)), deviceShare)
	if named != nil {
		body = u32(body, *named)
	}
	return body
}

type rekeyReply struct {
	authorityShare []byte
	generation     uint64
	schedule       Schedule
	// The set of purposes from now on, if the device named one.
	granted *uint32
}

func parseRekeyReply(suite Suite, replyBody []byte, named *uint32) (*rekeyReply, error) {
	r := &reader{rest: replyBody}
	length := suite.authorityShareLength()
	m := &rekeyReply{r.framed("authority share", length, length), r.number("generation", 8, 2), r.schedule(), nil}
	if named != nil {
		granted := uint32(r.number("purposes", 4, 0))
		if granted&^*named != 0 || granted&1 == 0 {
			r.fail("purposes", "are others than were named, or lack proof")
		}
		m.granted = &granted
	}
	return m, r.end("rekey reply")
}

// transcript is T′ of section 6; proof is T of section 5.
func (m *rekeyReply) transcript(proof []byte, suite Suite, deviceShare []byte) []byte {
	fields := []any{
		proof, uint64(suite), deviceShare, m.authorityShare, m.generation, m.schedule.Period, m.schedule.MaxUses, m.schedule.NotBefore,
	}
	if m.granted != nil {
		fields = append(fields, uint64(*m.granted))
	}
	return transcript("rekey", fields...)
}

// nextRoot is root[g+1]: it needs the former keys and the new agreement both.
func nextRoot(epochSecret, ikm, rekeyTranscript []byte) []byte {
	salt := expand(epochSecret, "rekey", rekeyTranscript)
	return expand(extract(salt, ikm), "root", rekeyTranscript)
}

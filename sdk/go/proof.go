package device

// Section 5: a proof's mac and the authority's ack, both by the one key K[g,proof,e,n].

func deviceMac(key, binding, proofTranscript []byte) []byte {
	return mac(expand(key, "device", binding), proofTranscript)
}

func ackKey(key, binding []byte) []byte {
	return expand(key, "authority", binding)
}

func ack(ackKey, proofTranscript []byte, serverTime uint64, replyBody []byte) []byte {
	return mac(ackKey, transcript("ack", proofTranscript, serverTime, digest(replyBody)))
}

// proofEpochs is section 3.1: which epoch a proof takes. Nothing authenticates a refusal, so what it said is in memory alone, and an
// ack ends it.
type proofEpochs struct {
	// The least epoch that the last refusal left, and how far beyond the one that it names the next one leads.
	floor, stride uint64
}

const maxStride = 31

// next: so many acks came in the epoch that was acknowledged last; serverTime is the challenge's.
func (p *proofEpochs) next(acknowledged, acks uint64, schedule Schedule, serverTime uint64) uint64 {
	own := acknowledged
	if schedule.isSpent(acks) {
		own++
	}
	return min(max(own, p.floor, schedule.due(serverTime)), lastEpoch)
}

// refusedAsSpent is about `epoch-spent` for a proof of epoch. Another holder may be taking each epoch just before: hence 0, 1, 3, 7,
// 15, 31 beyond.
func (p *proofEpochs) refusedAsSpent(epoch, named uint64) {
	named = min(named, lastEpoch)
	if epoch < p.floor {
		// The attempt did not take the epoch that was named before.
		p.floor = max(p.floor, named)
		return
	}
	p.floor = min(max(named, epoch+1)+p.stride, lastEpoch)
	p.stride = min(2*p.stride+1, maxStride)
}

// forget is for an ack, or `epoch-ahead`.
func (p *proofEpochs) forget() {
	*p = proofEpochs{}
}

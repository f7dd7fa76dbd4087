package device

import (
	"bytes"
	"encoding/binary"
)

// Section 2: the epoch trees.

const (
	depth      = 32
	lastEpoch  = 1<<depth - 1
	nodeLength = 1 + 4 + 32
)

type node struct {
	depth uint8
	// Its index at its depth.
	index  uint32
	secret [32]byte
}

// first is the first epoch that it covers.
func (n *node) first() uint64 { return uint64(n.index) << (depth - n.depth) }

func (n *node) last() uint64 { return (uint64(n.index)+1)<<(depth-n.depth) - 1 }

func (n *node) child(right uint32) *node {
	label := "left"
	if right == 1 {
		label = "right"
	}
	child := &node{depth: n.depth + 1, index: 2*n.index + right}
	copy(child.secret[:], expand(n.secret[:], label, nil))
	return child
}

// cover appends the least nodes at or below this one that yield the epochs from first to last, as far as it has them.
func (n *node) cover(found []*node, first, last uint64) []*node {
	if last < n.first() || n.last() < first {
		return found
	}
	if first <= n.first() && n.last() <= last {
		return append(found, n)
	}
	return n.child(1).cover(n.child(0).cover(found, first, last), first, last)
}

// tree is a cover of consecutive epochs. A device's is a frontier: it ends with the last epoch, and moves forward only.
type tree []*node

// treeOf is the whole tree below the root of a purpose.
func treeOf(root []byte) tree {
	return tree{{secret: [32]byte(root)}}
}

func (t tree) first() uint64 { return t[0].first() }

func (t tree) last() uint64 { return t[len(t)-1].last() }

// cover is what yields the epochs from first to last and none else.
func (t tree) cover(first, last uint64) (tree, error) {
	if first < t.first() || last < first || t.last() < last {
		return nil, malformed("epochs", "%d to %d are not within %d to %d", first, last, t.first(), t.last())
	}
	var found []*node
	for _, node := range t {
		found = node.cover(found, first, last)
	}
	return found, nil
}

// epochSecret is ES[g,p,e]. It erases nothing.
func (t tree) epochSecret(epoch uint64) ([]byte, error) {
	leaf, err := t.cover(epoch, epoch)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(leaf[0].secret[:]), nil
}

// advance gives what yields the epochs from epoch on, and erases the nodes that it leaves behind.
func (t tree) advance(epoch uint64) tree {
	if epoch <= t.first() || epoch > t.last() {
		return t
	}
	ahead, _ := t.cover(epoch, t.last())
	for _, node := range t {
		if node.first() < epoch {
			clear(node.secret[:])
		}
	}
	return ahead
}

func (t tree) encode() []byte {
	var out []byte
	for _, node := range t {
		out = append(u32(append(out, node.depth), node.index), node.secret[:]...)
	}
	return out
}

// parseTree takes nodes that are side by side. That they are the fewest is not looked at: it changes no secret.
func parseTree(data []byte) (tree, error) {
	if len(data) == 0 || len(data)%nodeLength != 0 {
		return nil, malformed("cover", "is not made of whole nodes")
	}
	var t tree
	for ; len(data) > 0; data = data[nodeLength:] {
		n := &node{depth: data[0], index: binary.BigEndian.Uint32(data[1:5]), secret: [32]byte(data[5:nodeLength])}
		if n.depth > depth || n.last() > lastEpoch {
			return nil, malformed("cover", "has a node outside the tree")
		}
		if len(t) > 0 && n.first() != t.last()+1 {
			return nil, malformed("cover", "has a gap, or nodes that overlap")
		}
		t = append(t, n)
	}
	return t, nil
}

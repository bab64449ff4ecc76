package node

// crowded reports whether an instance must not start yet: another one of its process
// may still have a container, and one of the two has to be alone. The leader asks for
// the new one only when it hears nothing of the old one any more, but it may not have
// heard of that yet.
func (l *loop) crowded(in *instance) bool {
	for _, other := range l.instances {
		if other != in && sameProcess(other, in) && (in.process.Singleton || other.process.Singleton) && other.mayRun() {
			return true
		}
	}
	return false
}

func sameProcess(a, b *instance) bool { return a.App == b.App && a.Process == b.Process }

// mayRun reports whether the instance has a container, or may have one.
func (in *instance) mayRun() bool {
	return in.box != nil || !in.known || in.busy == start || len(in.surplus) > 0
}

// room lets those start that waited for an instance to be gone.
func (l *loop) room(gone *instance) {
	for _, in := range l.instances {
		if sameProcess(in, gone) {
			l.advance(in)
		}
	}
}

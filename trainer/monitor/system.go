// What the process takes of the machine, as fields of train Records.

package monitor

// SystemStats reads figures of the machine: memory, processor; on another implementation a graphics card. It is not safe
// for concurrent use.
type SystemStats interface {
	// Fields returns the figures that could be read, in the same order every time; none where there are none.
	Fields() []Field
}

package docker

import "encoding/binary"

// A status is one report of BuildKit's progress: the fields that are used of the
// protobuf message moby.buildkit.v1.StatusResponse
// (https://github.com/moby/buildkit/blob/master/api/services/control/control.proto).
// Four messages do not justify the protobuf module.
type status struct {
	vertices []traceVertex
	logs     []traceLog
}

type traceVertex struct {
	digest, name, failure  string
	started, ended, cached bool
}

type traceLog struct{ vertex, text string }

func parseStatus(data []byte) (status, error) {
	var s status
	err := eachField(data, func(number uint64, value field) error {
		switch number {
		case 1:
			v, err := parseVertex(value.bytes)
			s.vertices = append(s.vertices, v)
			return err
		case 3:
			l, err := parseLog(value.bytes)
			s.logs = append(s.logs, l)
			return err
		}
		return nil
	})
	return s, err
}

func parseVertex(data []byte) (traceVertex, error) {
	var v traceVertex
	err := eachField(data, func(number uint64, value field) error {
		switch number {
		case 1:
			v.digest = string(value.bytes)
		case 3:
			v.name = string(value.bytes)
		case 4:
			v.cached = value.number != 0
		case 5:
			v.started = true
		case 6:
			v.ended = true
		case 7:
			v.failure = string(value.bytes)
		}
		return nil
	})
	return v, err
}

func parseLog(data []byte) (traceLog, error) {
	var l traceLog
	err := eachField(data, func(number uint64, value field) error {
		switch number {
		case 1:
			l.vertex = string(value.bytes)
		case 4:
			l.text = string(value.bytes)
		}
		return nil
	})
	return l, err
}

// field is the value of a protobuf field: a number, or bytes.
type field struct {
	number uint64
	bytes  []byte
}

// eachField hands the fields of a protobuf message to take, in order
// (https://protobuf.dev/programming-guides/encoding/).
func eachField(data []byte, take func(number uint64, value field) error) error {
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 {
			return errTrace
		}
		value, size, err := fieldValue(tag&7, data[n:])
		if err != nil {
			return err
		}
		if err := take(tag>>3, value); err != nil {
			return err
		}
		data = data[n+size:]
	}
	return nil
}

// fieldValue reads a value of a wire type and returns how many bytes it takes.
func fieldValue(wire uint64, data []byte) (field, int, error) {
	switch wire {
	case 0: // varint
		if v, n := binary.Uvarint(data); n > 0 {
			return field{number: v}, n, nil
		}
	case 1: // 64 bits
		if len(data) >= 8 {
			return field{number: binary.LittleEndian.Uint64(data)}, 8, nil
		}
	case 2: // length, bytes
		if size, n := binary.Uvarint(data); n > 0 && size <= uint64(len(data)-n) {
			end := n + int(size) //nolint:gosec // at most len(data)
			return field{bytes: data[n:end]}, end, nil
		}
	case 5: // 32 bits
		if len(data) >= 4 {
			return field{number: uint64(binary.LittleEndian.Uint32(data))}, 4, nil
		}
	}
	return field{}, 0, errTrace
}

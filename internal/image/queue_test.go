package image

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQueue_OneAtATimeInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		var order []int
		var told [4][]int
		var all sync.WaitGroup
		for i := range told {
			all.Go(func() {
				leave, err := q.enter(t.Context(), func(ahead int) { told[i] = append(told[i], ahead) })
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, i)
				time.Sleep(time.Second) // a build
				leave()
			})
			synctest.Wait()
		}
		begin := time.Now()
		all.Wait()
		require.Equal(t, 4*time.Second, time.Since(begin))
		require.Equal(t, []int{0, 1, 2, 3}, order)
		require.Equal(t, [4][]int{nil, {1}, {2, 1}, {3, 2, 1}}, told)
	})
}

func TestQueue_SeveralSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(3)
		var all sync.WaitGroup
		begin := time.Now()
		for range 7 {
			all.Go(func() {
				leave, err := q.enter(t.Context(), func(int) {})
				if err != nil {
					t.Error(err)
					return
				}
				time.Sleep(time.Second)
				leave()
			})
		}
		all.Wait()
		require.Equal(t, 3*time.Second, time.Since(begin))
		require.Equal(t, 3, q.free)
	})
}

func TestQueue_OneWhoGivesUpIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(1)
		leave, err := q.enter(t.Context(), nil)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var told []int
		var all sync.WaitGroup
		all.Go(func() {
			_, err := q.enter(ctx, func(int) {})
			if err == nil {
				t.Error("it was let in")
			}
		})
		synctest.Wait()
		all.Go(func() {
			leave, err := q.enter(t.Context(), func(ahead int) { told = append(told, ahead) })
			if err != nil {
				t.Error(err)
				return
			}
			leave()
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		require.Equal(t, []int{2, 1}, told)
		leave()
		all.Wait()
		require.Equal(t, 1, q.free)
		require.Empty(t, q.waiting)
		_, err = q.enter(ctx, nil)
		require.ErrorIs(t, err, context.Canceled)
	})
}

func TestQueue_ManyWhoComeAndGo(t *testing.T) {
	q := newQueue(2)
	var inside sync.Mutex
	count, most := 0, 0
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*time.Millisecond)
			defer cancel()
			leave, err := q.enter(ctx, func(int) {})
			if err != nil {
				return
			}
			inside.Lock()
			count++
			most = max(most, count)
			inside.Unlock()
			<-ctx.Done()
			inside.Lock()
			count--
			inside.Unlock()
			leave()
		})
	}
	all.Wait()
	require.LessOrEqual(t, most, 2)
	require.Equal(t, 2, q.free)
	require.False(t, slices.ContainsFunc(q.waiting, func(*ticket) bool { return true }))
}

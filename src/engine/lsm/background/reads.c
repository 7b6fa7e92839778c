/* SPDX-License-Identifier: Apache-2.0 */
/* Reads that pay for a compaction of level 0 (levels/picker.h has the rule).
 *
 *      get, seek, step --> looks at tables of level 0 in vain --> waste --> due? --> a job
 *
 * Each thread, and each iterator, counts for itself and passes it on now and then.  What a look is
 * worth was measured beside compactions: so many bytes are moved by one of them in that time, with
 * everything in memory.  A look that waits for the disk is dearer, and compactions are too. */
#include "base/planted.h"
#include "engine/lsm/background/background.h"
#include "engine/lsm/background/jobs.h"
#include "engine/lsm/internal.h"

/* Bytes written that are taken for granted, in parts of a memtable: what one short burst of reads
 * says about the future is not believed.  A report may tell of what was long before. */
enum { DOUBT = 32 };

struct lsm_reads lsm_reads_now(struct lsm *lsm)
{
    return (struct lsm_reads){
        .waste = atomic_load(&lsm->read_waste),
        .written = lsm_memtable_used(lsm_state_now(lsm)->active) +
                   lsm->options.memtable_size / DOUBT + LSM_WASTE_REPORT,
        .early = lsm->early_tables,
    };
}

void lsm_reads_begin(struct lsm *lsm)
{
    atomic_store(&lsm->read_waste, 0);
}

void lsm_reads_picked(struct lsm *lsm, const struct lsm_pick *pick)
{
    if (pick->level != 0)
        return;
    lsm_reads_begin(lsm);
    lsm->early_tables += pick->upper_count;
    if (lsm->early_tables >= lsm->policy.level0_trigger) {
        lsm->early_tables = 0;
        return;
    }
    lsm->counts.read_compactions++;
    PROBE("lsm: reads paid for a compaction");
}

static void tidy_work(struct lsm *lsm)
{
    epoch_poll(&lsm->epoch);
    atomic_store(&lsm->tidying, false);
}

void lsm_tidy(struct lsm *lsm)
{
    if (atomic_load(&lsm->epoch.retired_count) == 0 || lsm->jobs == NULL ||
        lsm->options.read_only || atomic_exchange(&lsm->tidying, true))
        return;
    if (!lsm_job_start(lsm, JOB_SOON, tidy_work, NULL))
        atomic_store(&lsm->tidying, false);
}

/* Who holds the mutex is at work for long, or will have let it go when the next one comes by. */
void lsm_reads_wasted(struct lsm *lsm, uint64_t waste)
{
    uint64_t before = atomic_fetch_add(&lsm->read_waste, waste);
    bool ask = before / LSM_WASTE_REPORT != (before + waste) / LSM_WASTE_REPORT;
    if (!ask || lsm->jobs == NULL || lsm->options.read_only ||
        pthread_mutex_trylock(&lsm->mutex) != 0)
        return;
    lsm_background(lsm);
    pthread_mutex_unlock(&lsm->mutex);
}

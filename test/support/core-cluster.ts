/**
 * A whole cluster of both cores in one fake world: no socket, no disk, no clock, one seed.
 *
 * The coordinator's `advance` and each worker's `converse` run as they are; around them a queue of
 * things that will happen, each at a drawn time. Each connection keeps its order, as a gRPC stream
 * does; everything else overtakes everything. Workers are killed (heard or in silence), come back,
 * fail to decode, send a result twice. Checked at each step, and thrown where it does not hold:
 * the nodes handed to `reduce` cover every leaf exactly once and are held by who they are said to
 * be, each step is committed exactly once, in order, with every leaf's report.
 */
import { advance } from '../../coordinator/core/advance.ts';
import {
  type CoreEvent,
  type Effect,
  type FinishedNode,
  initialState,
  type State,
} from '../../coordinator/core/state.ts';
import { key, leavesOf, maximalNodes, reducePlan } from '../../shared/core/tree.ts';
import { unreachable } from '../../shared/core/unreachable.ts';
import { beginConversation, converse } from '../../worker/core/conversation.ts';
import type {
  ConversationEffect,
  ConversationEvent,
  ConversationState,
  LeaseTask,
  Task,
} from '../../worker/core/conversation-types.ts';
import { planOf, reportOf, stages, type Unstamped } from './core-drive.ts';

export interface ClusterOptions {
  seed: number;
  leaves: number;
  workers: number;
  steps: number;
  /** Kills over the whole run. */
  kills: number;
  /** (step, leaf) pairs `step/leaf` with a sample that nobody can decode. */
  undecodable: readonly string[];
}

export interface ClusterResult {
  committed: number;
  /** Attempts of leases over the run. */
  attempts: number;
  /** Reductions begun: more than steps where one had to be done again. */
  reductions: number;
  kills: number;
  duplicates: number;
  grays: number;
}

interface Connection {
  open: boolean;
  /** No message overtakes the one before: earliest time of the next, each way. */
  next: { up: number; down: number };
}

interface Member {
  name: string;
  alive: boolean;
  talk: ConversationState;
  line: Connection | null;
  /** Finished nodes that can be pulled, `step/level/index`. */
  held: Set<string>;
  leafMs: number;
  /** The running lease ends before this leaf. */
  end: number;
  /** Counts deaths. */
  life: number;
}

/** Numbers in [0, 1) from a seed (mulberry32). */
export function drawsOf(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const happeningsMax = 200_000;

export function runCluster(options: ClusterOptions): ClusterResult {
  const draw = drawsOf(options.seed);
  const between = (least: number, most: number) => least + draw() * (most - least);
  const plan = planOf({ leaves: options.leaves, totalSteps: options.steps, checkpointEvery: 2 });
  const agenda: { at: number; order: number; act: () => void }[] = [];
  const links = new Map<string, Connection>();
  const members: Member[] = [];
  const counts = { reductions: 0, kills: 0, duplicates: 0 };
  let state: State = initialState(plan, 0, null, null, false);
  let now = 0;
  let order = 0;
  let committed = 0;
  let committing: number | null = null;
  let pulling: { aborted: boolean } | null = null;
  let over: 'finished' | string | null = null;

  const later = (delay: number, act: () => void) => {
    agenda.push({ at: now + delay, order: order++, act });
  };
  const fault = (what: string): never => {
    throw new Error(
      `seed ${options.seed}, S ${options.leaves}, ${options.workers} workers, step ${state.step}: ${what}`,
    );
  };

  function tell(event: Unstamped): void {
    const turn = advance(state, { ...event, now } as CoreEvent);
    state = turn.state;
    for (const effect of turn.effects) perform(effect);
  }

  /** To a worker: in order on its connection, lost where that has ended. */
  function send(name: string, event: ConversationEvent): void {
    const line = links.get(name);
    if (line === undefined) return;
    line.next.down = Math.max(line.next.down, now + between(0, 3));
    later(line.next.down - now, () => {
      const member = members.find((m) => m.name === name);
      if (member?.alive && member.line === line) hear(member, event);
    });
  }

  /** From a worker: in order on its connection, dropped where that is not the worker's any more. */
  function up(member: Member, event: Unstamped, copies = 1): void {
    const { line } = member;
    if (line === null) return;
    for (let copy = 0; copy < copies; copy += 1) {
      line.next.up = Math.max(line.next.up, now + between(0, 3));
      later(line.next.up - now, () => {
        if (links.get(member.name) === line) tell(event);
      });
    }
  }

  function hangUp(name: string): void {
    const line = links.get(name);
    links.delete(name);
    if (line === undefined) return;
    line.open = false;
    later(between(0, 5), () => {
      const member = members.find((m) => m.line === line);
      if (!member?.alive) return;
      member.line = null;
      hear(member, { kind: 'disconnected', reason: 'the coordinator ended the conversation' });
    });
  }

  function perform(effect: Effect): void {
    switch (effect.kind) {
      case 'welcome': {
        const welcome = {
          generation: plan.generation,
          run: 'r',
          method: '{}',
          fingerprint: '',
          samples: plan.samples,
          heartbeatMs: 1000,
          step: state.step,
        };
        send(effect.worker, { kind: 'welcomed', welcome });
        return;
      }
      case 'admit':
        send(effect.worker, { kind: 'admitted' });
        return;
      case 'lease': {
        const { step, node, attempt, gray } = effect;
        const task: Task = {
          kind: 'lease',
          generation: plan.generation,
          step,
          ...node,
          attempt,
          weightsHash: `weights ${step}`,
          gray,
        };
        send(effect.worker, { kind: 'tasked', task });
        return;
      }
      case 'shrink': {
        const { attempt, end } = effect;
        send(effect.worker, { kind: 'shrunk', generation: plan.generation, attempt, end });
        return;
      }
      case 'disconnect':
        hangUp(effect.worker);
        return;
      case 'reduce':
        reduce(effect.step, effect.nodes);
        return;
      case 'pause-reduce':
        if (pulling === null) return fault('a pause where nothing is pulled');
        pulling.aborted = true;
        return;
      case 'commit':
        commit(effect);
        return;
      case 'final-checkpoint':
        later(between(0, 5), () => tell({ kind: 'final-checkpoint-saved' }));
        return;
      case 'finish':
        over = 'finished';
        return;
      case 'fail':
        over = `${effect.code}: ${effect.message}`;
        return;
      case 'refuse':
        return fault(`an honest worker is refused: ${effect.message}`);
      case 'survey-lease':
      case 'measure-knn':
      case 'drain':
      case 'release':
      case 'discard-reduce':
      case 'review':
        return fault(`${effect.kind} in a run without a survey`);
      case 'adopt-class':
      case 'mark-mixed':
      case 'checkpoint':
      case 'event':
        return;
      default:
        unreachable(effect);
    }
  }

  function reduce(step: number, nodes: FinishedNode[]): void {
    counts.reductions += 1;
    if (step !== committed) fault(`step ${step} is reduced after ${committed} commits`);
    // Throws where a leaf is missing or covered twice.
    reducePlan(
      nodes.map(({ node }) => node),
      plan.leaves,
    );
    const covered = nodes.flatMap(({ leaves }) => leaves.map(({ leaf }) => leaf));
    if (covered.join() !== Array.from({ length: plan.leaves }, (_, i) => i).join())
      fault(`leaves ${covered.join()} are handed to reduce`);
    const task = { aborted: false };
    pulling = task;
    const lines = nodes.map(({ worker }) => links.get(worker));
    const pullNext = (i: number): void => {
      if (task.aborted) return;
      const node = nodes[i];
      if (node === undefined) {
        // The seal and a loss may cross: the core hears of both.
        later(between(0, 2), () => tell({ kind: 'reduced', step }));
        return;
      }
      const holder = members.find((m) => m.name === node.worker);
      if (links.get(node.worker) !== lines[i] || !lines[i]?.open || !holder?.alive) {
        const { worker } = node;
        tell({ kind: 'reduce-broken', step, worker, reason: 'stream ended', hostile: false });
        return;
      }
      if (!holder.held.has(`${step}/${key(node.node)}`))
        fault(`${node.worker} is asked for ${key(node.node)}, which it does not hold`);
      later(between(0, 4), () => pullNext(i + 1));
    };
    later(between(0, 2), () => pullNext(0));
  }

  function commit({ step, leaves }: Extract<Effect, { kind: 'commit' }>): void {
    if (committing !== null || step !== committed)
      fault(`step ${step} is committed after ${committed}, ${committing} being under way`);
    const expected = Array.from({ length: plan.leaves }, (_, leaf) => reportOf(step, leaf));
    if (JSON.stringify(leaves) !== JSON.stringify(expected))
      fault('a commit does not hold each leaf once, in order');
    committing = step;
    later(between(0, 5), () => {
      committing = null;
      committed += 1;
      const news = {
        kind: 'step-committed',
        generation: plan.generation,
        step,
        weightsHash: `weights ${step + 1}`,
      } as const;
      for (const name of links.keys()) send(name, news);
      tell({ kind: 'committed', step });
    });
  }

  function hear(member: Member, event: ConversationEvent): void {
    const turn = converse(member.talk, event);
    member.talk = turn.state;
    for (const effect of turn.effects) act(member, effect);
  }

  function act(member: Member, effect: ConversationEffect): void {
    switch (effect.kind) {
      case 'join':
        up(member, {
          kind: 'worker-connected',
          worker: member.name,
          pid: 1,
          host: 'h',
          protoVersion: 1,
          identity: '',
          description: '',
        });
        return;
      case 'prove':
        later(between(0, 20), () => {
          if (member.alive) hear(member, { kind: 'proved', stages });
        });
        return;
      case 'send-ready':
        up(member, {
          kind: 'worker-ready',
          worker: member.name,
          stages: effect.stages,
          description: '',
          held: [...member.held].flatMap((name) => heldOf(name)),
        });
        return;
      case 'work':
        if (effect.task.kind === 'lease') compute(member, effect.task);
        return;
      case 'send-node': {
        const { generation, step, attempt } = effect.task;
        const { level, index, leaves } = effect.node;
        const twice = draw() < 0.2;
        if (twice) counts.duplicates += 1;
        up(
          member,
          {
            kind: 'node-ready',
            worker: member.name,
            generation,
            step,
            node: { level, index },
            leaves,
            attempt,
          },
          twice ? 2 : 1,
        );
        return;
      }
      case 'send-failed': {
        const { generation, step } = effect.task;
        const { code, message, sample } = effect;
        const worker = member.name;
        up(member, { kind: 'lease-failed', worker, generation, step, code, message, sample });
        return;
      }
      case 'forget':
        for (const node of member.held)
          if (Number.parseInt(node, 10) <= effect.step) member.held.delete(node);
        return;
      case 'forget-others':
        for (const node of member.held)
          if (Number.parseInt(node, 10) !== effect.step) member.held.delete(node);
        return;
      case 'shorten':
        member.end = effect.end;
        return;
      case 'stop-work':
        member.end = 0;
        return;
      case 'reconnect':
        later(between(1, 30), () => {
          if (member.alive && member.talk.phase === 'away') connect(member);
        });
        return;
      case 'open-gradients':
        return;
      case 'send-features':
      case 'send-leave':
      case 'end':
        return fault(`a worker does ${effect.kind}`);
      default:
        unreachable(effect);
    }
  }

  function heldOf(name: string) {
    const [step = 0, level = 0, index = 0] = name.split('/').map(Number);
    if (step !== state.step) return [];
    const [first, end] = leavesOf({ level, index }, plan.leaves);
    const leaves = Array.from({ length: end - first }, (_, i) => reportOf(step, first + i));
    return [{ node: { level, index }, leaves }];
  }

  function compute(member: Member, task: LeaseTask): void {
    const [first, last] = leavesOf(task, plan.leaves);
    const { life } = member;
    member.end = last;
    const finish = (done: number) => {
      const nodes = maximalNodes(first, first + done, plan.leaves).map((node) => {
        const [from, until] = leavesOf(node, plan.leaves);
        const leaves = Array.from({ length: until - from }, (_, i) =>
          reportOf(task.step, from + i),
        );
        member.held.add(`${task.step}/${key(node)}`);
        return { ...node, leaves };
      });
      hear(member, { kind: 'nodes-finished', task, nodes });
    };
    const next = (leaf: number): void => {
      if (!member.alive || member.life !== life) return;
      if (leaf >= member.end) return finish(leaf - first);
      later(member.leafMs * between(0.5, 2), () => {
        if (!member.alive || member.life !== life || member.talk.task !== task) return;
        const sample = options.undecodable.indexOf(`${task.step}/${leaf}`);
        if (sample >= 0 && !task.gray.includes(sample)) {
          const message = 'cut short';
          hear(member, { kind: 'task-failed', task, code: 'sample-undecodable', message, sample });
          return;
        }
        const { attempt } = task;
        const done = leaf + 1 - first;
        up(member, { kind: 'heartbeat', worker: member.name, attempt, done });
        next(leaf + 1);
      });
    };
    next(first);
  }

  /** As the service does it: the new connection takes the name at once, the core hears in turn. */
  function connect(member: Member): void {
    const line = { open: true, next: { up: now, down: now } };
    member.line = line;
    later(3, () => {
      const old = links.get(member.name);
      if (old) old.open = false;
      if (member.line === line && member.alive) links.set(member.name, line);
    });
    line.next.up = now + 3;
    hear(member, { kind: 'connected' });
  }

  /** `silent`: the coordinator only finds out by the silence or by pulling. */
  function kill(member: Member, silent: boolean): void {
    if (!member.alive) return;
    counts.kills += 1;
    member.alive = false;
    member.life += 1;
    const { line, name } = member;
    member.line = null;
    if (line) line.open = false;
    if (!silent)
      later(between(0, 4), () => {
        if (line === null || links.get(name) !== line) return;
        links.delete(name);
        tell({ kind: 'worker-lost', worker: name, reason: 'its connection is gone' });
      });
    later(between(5, 60), () => {
      member.alive = true;
      member.talk = beginConversation;
      member.held.clear();
      connect(member);
    });
  }

  const heartbeat = (member: Member): void => {
    if (member.alive) up(member, { kind: 'heartbeat', worker: member.name, attempt: 0, done: 0 });
    later(1000, () => heartbeat(member));
  };
  const tick = (): void => {
    tell({ kind: 'tick' });
    later(1000, tick);
  };

  for (let i = 0; i < options.workers; i += 1) {
    const member: Member = {
      name: `w${i}`,
      alive: true,
      talk: beginConversation,
      line: null,
      held: new Set(),
      leafMs: between(1, 20),
      end: 0,
      life: 0,
    };
    members.push(member);
    later(between(0, 50), () => connect(member));
    later(between(0, 1000), () => heartbeat(member));
  }
  for (let i = 0; i < options.kills; i += 1) {
    const victim = members[Math.floor(draw() * members.length)] as Member;
    later(between(5, 60 * options.steps), () => kill(victim, draw() < 0.3));
  }
  later(1000, tick);

  for (let happened = 0; over === null; happened += 1) {
    if (happened > happeningsMax) fault(`it never ends, in phase ${state.phase}`);
    let next = 0;
    for (let i = 1; i < agenda.length; i += 1) {
      const [a, b] = [agenda[i], agenda[next]];
      if (a && b && (a.at < b.at || (a.at === b.at && a.order < b.order))) next = i;
    }
    const [happening] = agenda.splice(next, 1);
    if (happening === undefined) return fault('nothing is left to happen');
    now = happening.at;
    happening.act();
  }
  if (over !== 'finished') fault(over);
  return { ...counts, committed, attempts: state.attempts, grays: state.gray.length };
}

import { asMaster } from './holdings.ts';
import { known, type Stage, type TargetName } from './stage.ts';

/**
 * A profile more: the DBA allows it, dave registers it. Safe to repeat on a stand-in that others used before.
 * @param allow what the DBA runs
 */
export async function addProfile(
  stage: Stage,
  target: TargetName,
  allow: string,
  profile: { name: string } & Record<string, unknown>,
): Promise<void> {
  await asMaster(stage.standIn, target, 'postgres', (master) => master.query(allow));
  const dave = await known(stage, 'dave');
  const path = `/v1/targets/${stage.targets[target].id}/profiles`;
  const { status, body } = await dave.post<{ id: string }>(path, profile);
  if (status !== 201) throw new Error(`the profile was answered with ${status}: ${JSON.stringify(body)}`);
  stage.targets[target].profiles[profile.name] = body.id;
}

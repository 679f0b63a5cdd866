//! What the shaders of labels do for a label, counted in them, against the model on paper
//! (`docs/gpu.md`): bytes of scratch that move, and operations on words of 32 bits.
//!
//! The count walks naga's form of a shader. How often a loop runs and how often a branch is taken
//! depends on labels; the walk is told, for all else is in the text.

use crate::cost::Cost;
use crate::labels::{Gap, Mixing};
use core::ops::AddAssign;
use post::ScryptN;
use shaders::{Shader, fill, finish, mix, mix_cooperative, seed};
use wgpu::naga::valid::{Capabilities, FunctionInfo, ModuleInfo, ValidationFlags, Validator};
use wgpu::naga::{
    self, BinaryOperator, Block, Expression, Function, Handle, Literal, Statement, TypeInner,
};

const N: f64 = 8192.0;

/// What is done for a label.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Count {
    written: f64,
    read: f64,
    /// Operations, a rotation being one.
    operations: f64,
    /// Words that are rotated.
    rotations: f64,
}

impl Count {
    fn times(self, times: f64) -> Self {
        Self {
            written: self.written * times,
            read: self.read * times,
            operations: self.operations * times,
            rotations: self.rotations * times,
        }
    }

    /// Operations where a rotation takes two shifts and an or.
    fn shifting(self) -> f64 {
        self.operations + 2.0 * self.rotations
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.written += other.written;
        self.read += other.read;
        self.operations += other.operations;
        self.rotations += other.rotations;
    }
}

/// A walk through a shader.
struct Walk<'a> {
    module: &'a naga::Module,
    info: &'a ModuleInfo,
    gap: u32,
    /// In the order of the text, calls followed: for each loop how often it runs, for each branch
    /// how often it is taken.
    often: std::slice::Iter<'a, f64>,
}

/// A function that is walked through.
#[derive(Clone, Copy)]
struct Place<'a> {
    function: &'a Function,
    info: &'a FunctionInfo,
}

/// Counts what one invocation of a shader does.
fn count(shader: &Shader, gap: Gap, often: &[f64]) -> Count {
    let module = naga::front::wgsl::parse_str(shader.source).unwrap();
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    let info = validator.validate(&module).unwrap();
    let mut walk = Walk { module: &module, info: &info, gap: gap.get(), often: often.iter() };
    let entry = Place { function: &module.entry_points[0].function, info: info.get_entry_point(0) };
    let count = walk.block(entry, &entry.function.body);
    assert!(walk.often.next().is_none(), "{}: loops and branches that are not there", shader.name);
    count
}

impl Walk<'_> {
    fn block(&mut self, place: Place<'_>, block: &Block) -> Count {
        let mut count = Count::default();
        for statement in block {
            count += self.statement(place, statement);
        }
        count
    }

    fn statement(&mut self, place: Place<'_>, statement: &Statement) -> Count {
        let mut count = Count::default();
        match statement {
            Statement::Emit(range) => {
                for handle in range.clone() {
                    count += self.expression(place, handle);
                }
            }
            Statement::Block(block) => count += self.block(place, block),
            Statement::If { condition, accept, reject } => {
                let leaves = |block: &Block| matches!(block.last(), Some(Statement::Break));
                let taken = match self.known(place, *condition) {
                    Some(taken) => f64::from(u8::from(taken)),
                    // How a loop ends.
                    None if leaves(accept) || leaves(reject) => return count,
                    None => self.often(),
                };
                if taken > 0.0 {
                    count += self.block(place, accept).times(taken);
                }
                if taken < 1.0 {
                    count += self.block(place, reject).times(1.0 - taken);
                }
            }
            Statement::Loop { body, continuing, break_if: None } => {
                let times = self.often();
                let mut turn = self.block(place, body);
                turn += self.block(place, continuing);
                count += turn.times(times);
            }
            Statement::Store { pointer, .. } if self.is_scratch(place, *pointer) => {
                count.written += self.pointed(place, *pointer);
            }
            Statement::Call { function, .. } => {
                let (callee, info) = (&self.module.functions[*function], &self.info[*function]);
                count += self.block(Place { function: callee, info }, &callee.body);
                if callee.name.as_deref() == Some("rotl") {
                    let words = callee
                        .result
                        .as_ref()
                        .map_or(0.0, |it| words(&self.module.types[it.ty].inner));
                    count = Count { operations: words, rotations: words, ..Count::default() };
                }
            }
            Statement::Return { .. } | Statement::Break | Statement::Continue => {}
            Statement::Store { .. } | Statement::ControlBarrier(_) => {}
            other => panic!("{other:?} is not provided for"),
        }
        count
    }

    fn expression(&self, place: Place<'_>, handle: Handle<Expression>) -> Count {
        let mut count = Count::default();
        match &place.function.expressions[handle] {
            Expression::Binary { .. }
            | Expression::Unary { .. }
            | Expression::Math { .. }
            | Expression::Select { .. }
            | Expression::Relational { .. } => {
                count.operations = words(place.info[handle].ty.inner_with(&self.module.types));
            }
            Expression::Load { pointer } if self.is_scratch(place, *pointer) => {
                count.read = self.pointed(place, *pointer);
            }
            _ => {}
        }
        count
    }

    fn often(&mut self) -> f64 {
        *self.often.next().expect("a loop or branch that the test knows of")
    }

    /// Whether a branch is taken, if that depends on the gap alone.
    fn known(&self, place: Place<'_>, condition: Handle<Expression>) -> Option<bool> {
        let number = |handle| match place.function.expressions[handle] {
            Expression::Literal(Literal::U32(number)) => Some(number),
            Expression::Override(it) => {
                (self.module.overrides[it].name.as_deref() == Some("GAP")).then_some(self.gap)
            }
            _ => None,
        };
        match place.function.expressions[condition] {
            Expression::Binary { op: BinaryOperator::Equal, left, right } => {
                Some(number(left)? == number(right)?)
            }
            _ => None,
        }
    }

    /// Whether a pointer leads into the buffer of that name.
    fn is_scratch(&self, place: Place<'_>, pointer: Handle<Expression>) -> bool {
        match place.function.expressions[pointer] {
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => {
                self.is_scratch(place, base)
            }
            Expression::GlobalVariable(it) => {
                self.module.global_variables[it].name.as_deref() == Some("scratch")
            }
            _ => false,
        }
    }

    /// The bytes that a pointer points to.
    fn pointed(&self, place: Place<'_>, pointer: Handle<Expression>) -> f64 {
        match *place.info[pointer].ty.inner_with(&self.module.types) {
            TypeInner::Pointer { base, .. } => 4.0 * words(&self.module.types[base].inner),
            TypeInner::ValuePointer { size, .. } => {
                4.0 * size.map_or(1.0, |it| f64::from(it as u8))
            }
            ref other => panic!("{other:?} is no pointer"),
        }
    }
}

/// Words of a number or vector; a truth value is one too.
fn words(inner: &TypeInner) -> f64 {
    match *inner {
        TypeInner::Scalar(_) => 1.0,
        TypeInner::Vector { size, .. } => f64::from(size as u8),
        ref other => panic!("{other:?} is not of words"),
    }
}

/// What a label costs on paper, with `missing` mixings a step for rows that are not stored.
fn paper(gap: Gap, missing: f64) -> Count {
    let Cost { written, read, mixings, operations } = Cost::of(ScryptN::new(8192).unwrap(), gap);
    let usual = f64::from(gap.get() - 1) / 2.0;
    let more = N * (missing - usual);
    // Each of the two ChaCha20/8 of a mixing: 4 double rounds of 8 quarter rounds of 4 rotations.
    let rotations = (mixings + more) * 2.0 * 4.0 * 8.0 * 4.0;
    let mixing = (operations - N * 32.0) / mixings;
    Count { written, read, operations: operations + more * mixing, rotations }
}

/// What filling and mixing do for a label, where each step of mixing misses that many rows.
fn counted(gap: Gap, mixing: Mixing, missing: f64) -> Count {
    let stored = 1.0 / f64::from(gap.get());
    // Invocations beyond the labels leave at once; nobody else does.
    let mut count = count(&fill::SHADER, gap, &[0.0, N, stored]);
    let stirs = 1.0 / (1.0 + missing);
    count += match mixing {
        // What is decided by the gap is not asked for.
        Mixing::Plain if gap == Gap::One => self::count(&mix::SHADER, gap, &[0.0, N]),
        Mixing::Plain => self::count(&mix::SHADER, gap, &[0.0, N / stirs, stirs, stirs]),
        // The last branch: who has no label keeps none.
        Mixing::Cooperative => self::count(&mix_cooperative::SHADER, gap, &[N, 8.0, missing, 1.0]),
    };
    count
}

#[test]
fn shaders_do_what_the_paper_says() {
    for gap in Gap::ALL {
        for mixing in Mixing::ALL {
            let mean = f64::from(gap.get() - 1) / 2.0;
            let counted = counted(gap, mixing, mean);
            let paper = paper(gap, mean);
            assert_eq!(counted.written, paper.written);
            // A row more where rows are missing: it is asked for before it is known to be the last.
            assert!((0.0..=128.0).contains(&(counted.read - paper.read)), "{counted:?}");
            for (counted, paper) in
                [(counted.operations, paper.operations), (counted.shifting(), paper.shifting())]
            {
                println!("{gap:?}, {mixing:?}: {counted} operations, {paper} on paper");
                assert!((1.0..1.1).contains(&(counted / paper)), "{gap:?}, {mixing:?}");
            }
        }
    }
}

/// Neighbours that wait for each other miss as many rows as whoever misses the most.
#[test]
fn lockstep_costs_what_the_paper_says() {
    for gap in Gap::ALL {
        let most = f64::from(gap.get() - 1);
        let ratio =
            counted(gap, Mixing::Cooperative, most).operations / paper(gap, most).operations;
        assert!((1.0..1.1).contains(&ratio), "{gap:?}: {ratio}");
    }
}

/// Keccak at both ends is left out on paper.
#[test]
fn the_ends_cost_little() {
    // Two halves of four permutations of 24 rounds; then five of them.
    let mut ends = count(&seed::SHADER, Gap::One, &[0.0, 2.0, 24.0, 24.0, 24.0, 24.0]);
    ends += count(&finish::SHADER, Gap::One, &[0.0, 24.0, 24.0, 24.0, 24.0, 24.0]);
    assert_eq!((ends.written, ends.read), (0.0, 0.0));
    assert!(ends.shifting() < 0.01 * paper(Gap::One, 0.0).shifting(), "{ends:?}");
    println!("ends: {} or {} operations", ends.operations, ends.shifting());
}

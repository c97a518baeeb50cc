//! Prepares a parsed CEL expression for evaluation with a bound: the interpreter has no limit on its work, so each
//! turn of a loop and each text or list that is put together is made to ask a budget first. References to
//! `variables.x` become names of their own, so that a variable is computed only for expressions that use it.

use std::collections::BTreeSet;

use kube_cel::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, LiteralValue, MapExpr, SelectExpr,
    operators,
};

/// Called at each turn of a loop; fails when the budget is spent.
pub const STEP: &str = "@step";
/// Gives its argument back, charged for by its size.
pub const SIZED: &str = "@sized";
/// Functions whose results can be larger than what they are given.
const GROWING: &[&str] = &[operators::ADD, "replace", "join", "format", "split", "findAll", "map"];

/// Each level takes stack when it is evaluated.
const DEEPEST: usize = 80;

/// The name under which a variable is in scope.
pub fn variable_name(name: &str) -> String {
    format!("variables.{name}")
}

/// The expression with its bounds, and the variables that it uses.
///
/// # Errors
/// What it uses that is not there, in Kubernetes's words.
pub fn instrument(expression: IdedExpr, variables: Option<&[String]>) -> Result<(IdedExpr, BTreeSet<String>), String> {
    let mut pass = Pass { variables, used: BTreeSet::new(), depth: 0 };
    let expression = pass.walk(expression)?;
    Ok((expression, pass.used))
}

struct Pass<'a> {
    variables: Option<&'a [String]>,
    used: BTreeSet<String>,
    depth: usize,
}

impl Pass<'_> {
    fn walk(&mut self, expression: IdedExpr) -> Result<IdedExpr, String> {
        if self.depth == DEEPEST {
            return Err(format!("expressions are nested more than {DEEPEST} deep"));
        }
        self.depth += 1;
        let walked = self.walk_inside(expression);
        self.depth -= 1;
        walked
    }

    fn walk_inside(&mut self, IdedExpr { id, expr }: IdedExpr) -> Result<IdedExpr, String> {
        let expr = match expr {
            Expr::Select(select) => self.select(select)?,
            Expr::Ident(name) if name == "variables" => return Err("variables are named as variables.NAME".into()),
            Expr::Ident(name) if name == "authorizer" => return Err("undeclared reference to 'authorizer'".into()),
            Expr::Call(call) => self.call(call)?,
            Expr::Comprehension(comprehension) => Expr::Comprehension(Box::new(self.comprehension(*comprehension)?)),
            Expr::List(ListExpr { elements, optional_indices }) => {
                Expr::List(ListExpr { elements: self.all(elements)?, optional_indices })
            }
            Expr::Map(MapExpr { entries }) => {
                let entries: Result<_, String> = entries.into_iter().map(|entry| self.entry(entry)).collect();
                Expr::Map(MapExpr { entries: entries? })
            }
            Expr::Struct(made) => return Err(format!("undeclared reference to '{}'", made.type_name)),
            Expr::Unspecified => return Err("an expression is missing".into()),
            plain @ (Expr::Ident(_) | Expr::Literal(_)) => plain,
        };
        Ok(IdedExpr { id, expr })
    }

    fn all(&mut self, expressions: Vec<IdedExpr>) -> Result<Vec<IdedExpr>, String> {
        expressions.into_iter().map(|expression| self.walk(expression)).collect()
    }

    fn select(&mut self, select: SelectExpr) -> Result<Expr, String> {
        let SelectExpr { operand, field, test } = select;
        if !matches!(&operand.expr, Expr::Ident(name) if name == "variables") {
            return Ok(Expr::Select(SelectExpr { operand: Box::new(self.walk(*operand)?), field, test }));
        }
        if self.variables.is_some_and(|known| !known.contains(&field)) {
            return Err(format!("undefined field '{field}'"));
        }
        if test {
            return Ok(Expr::Literal(LiteralValue::Boolean(true.into())));
        }
        let name = variable_name(&field);
        self.used.insert(field);
        Ok(Expr::Ident(name))
    }

    fn call(&mut self, call: CallExpr) -> Result<Expr, String> {
        let CallExpr { func_name, target, args } = call;
        let grows = GROWING.contains(&func_name.as_str());
        let target = target.map(|target| self.walk(*target)).transpose()?.map(Box::new);
        let call = Expr::Call(CallExpr { func_name, target, args: self.all(args)? });
        Ok(if grows { call_of(SIZED, vec![plain(call)]) } else { call })
    }

    fn comprehension(&mut self, loops: ComprehensionExpr) -> Result<ComprehensionExpr, String> {
        let step = plain(call_of(STEP, Vec::new()));
        let condition =
            vec![step, self.walk(loops.loop_cond)?, plain(Expr::Literal(LiteralValue::Boolean(false.into())))];
        Ok(ComprehensionExpr {
            iter_range: self.walk(loops.iter_range)?,
            accu_init: self.walk(loops.accu_init)?,
            loop_cond: plain(call_of(operators::CONDITIONAL, condition)),
            loop_step: self.walk(loops.loop_step)?,
            result: self.walk(loops.result)?,
            ..loops
        })
    }

    fn entry(&mut self, IdedEntryExpr { id, expr }: IdedEntryExpr) -> Result<IdedEntryExpr, String> {
        let expr = match expr {
            EntryExpr::MapEntry(mut entry) => {
                entry.key = self.walk(entry.key)?;
                entry.value = self.walk(entry.value)?;
                EntryExpr::MapEntry(entry)
            }
            EntryExpr::StructField(mut field) => {
                field.value = self.walk(field.value)?;
                EntryExpr::StructField(field)
            }
        };
        Ok(IdedEntryExpr { id, expr })
    }
}

fn plain(expr: Expr) -> IdedExpr {
    IdedExpr { id: 0, expr }
}

fn call_of(name: &str, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args })
}
